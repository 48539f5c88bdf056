import type { InstalledPackage } from './package.ts';

/** A package.json below node_modules. */
export function npmPackage(text: string, source: string): InstalledPackage | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined; // some packages carry broken ones for their tests
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { name, version, license } = parsed as Record<string, unknown>;
  if (typeof name !== 'string' || typeof version !== 'string' || name === '') return undefined;
  return { kind: 'npm', name, version, source, ...(typeof license === 'string' ? { licence: license } : {}) };
}

/** METADATA of a wheel, or PKG-INFO of an egg (packaging.python.org: core-metadata). */
export function pythonPackage(text: string, source: string): InstalledPackage | undefined {
  const head = text.split(/\r?\n\r?\n/, 1)[0] ?? '';
  const field = (name: string) => new RegExp(`^${name}:\\s*(.+?)\\s*$`, 'im').exec(head)?.[1];
  const [name, version, licence] = [field('Name'), field('Version'), field('License')];
  if (name === undefined || version === undefined) return undefined;
  return { kind: 'pypi', name, version, source, ...(licence === undefined ? {} : { licence }) };
}

/** Whether a path is what one of the above reads. */
export const languageKind = (path: string): 'npm' | 'pypi' | undefined =>
  /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/.test(path)
    ? 'npm'
    : /\.(?:dist-info\/METADATA|egg-info\/PKG-INFO|egg-info)$/.test(path)
      ? 'pypi'
      : undefined;
