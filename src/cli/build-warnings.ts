import type { BuildWarning } from '#client/index.ts';

/** What `--check` found, each with its line. */
export function checkReport(warnings: readonly BuildWarning[]): string {
  if (warnings.length === 0) return 'Check complete, no warnings found.\n';
  const bar = '-'.repeat(20);
  const found = warnings
    .map(
      ({ rule, message, file, line, text, url }) =>
        `\nWARNING: ${rule} - ${url}\n${message}\n${file}:${line}\n${bar}\n${String(line).padStart(4)} | >>> ${text}\n${bar}\n`,
    )
    .join('');
  return `Check complete, ${warnings.length} warning${warnings.length === 1 ? ' has' : 's have'} been found!\n${found}`;
}

/** The same in short, after a build. */
export const warningSummary = (warnings: readonly BuildWarning[]): string =>
  warnings.length === 0
    ? ''
    : `\n ${warnings.length} warning${warnings.length === 1 ? '' : 's'} found (use --check to expand):\n${warnings
        .map(({ rule, message, line }) => ` - ${rule}: ${message} (line ${line})\n`)
        .join('')}`;
