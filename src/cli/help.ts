import { type Options, optionsHelp, wrap } from './options.ts';
import { program } from './program.ts';

const groups: Readonly<Record<string, string>> = {
  builder: 'Manage builds',
  checkpoint: 'Manage checkpoints',
  container: 'Manage containers',
  context: 'Manage contexts',
  image: 'Manage images',
  manifest: 'Manage image manifests and manifest lists',
  network: 'Manage networks',
  system: 'Manage Gantry',
  volume: 'Manage volumes',
};

export const groupNames: readonly string[] = Object.keys(groups);

export const groupSummary = (group: string): string => groups[group] ?? '';

/** The words that take a second word: `container ls`. */
export const isGroup = (word: string): boolean => Object.hasOwn(groups, word);

const rows = (entries: readonly (readonly [name: string, summary: string])[]) =>
  entries.map(([name, summary]) => `  ${name.padEnd(11)} ${wrap(summary, 66, 14)}\n`).join('');

/** `gantry --help`. */
export function programHelp(globalOptions: Options): string {
  const single = program.filter(({ names: [name = ''] }) => !name.includes(' ') && !name.startsWith('__'));
  const named = (common: boolean) =>
    single.filter((entry) => (entry.common ?? false) === common).map((e) => [e.names[0] ?? '', e.summary] as const);
  return `Usage:  gantry [OPTIONS] COMMAND

A complete container platform

Common Commands:
${rows(named(true))}
Management Commands:
${rows(Object.entries(groups))}
Commands:
${rows(named(false))}${optionsHelp(globalOptions).replace('Options:', 'Global Options:')}
Run 'gantry COMMAND --help' for more information on a command.
`;
}

/** `gantry container --help`. */
export function groupHelp(group: string): string {
  const entries = program.flatMap(({ names, summary }) => {
    const name = names.find((n) => n.startsWith(`${group} `));
    return name === undefined ? [] : [[name.slice(group.length + 1), summary] as const];
  });
  return `Usage:  gantry ${group} COMMAND

${groups[group]}

Commands:
${rows(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))}
Run 'gantry ${group} COMMAND --help' for more information on a command.
`;
}
