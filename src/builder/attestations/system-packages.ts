import { DatabaseSync } from 'node:sqlite';
import type { InstalledPackage } from './package.ts';

/** Paragraphs of `Field: value` lines, as dpkg writes them; continued lines belong to the field above. */
function paragraphs(text: string): readonly ReadonlyMap<string, string>[] {
  return text.split(/\n{2,}/).map((paragraph) => {
    const fields = new Map<string, string>();
    for (const line of paragraph.split('\n')) {
      const at = line.indexOf(':');
      if (at > 0 && !/^\s/.test(line)) fields.set(line.slice(0, at).toLowerCase(), line.slice(at + 1).trim());
    }
    return fields;
  });
}

/** /var/lib/dpkg/status, or one file of /var/lib/dpkg/status.d (deb-status is dpkg(1)'s). */
export const dpkgPackages = (text: string, source: string): readonly InstalledPackage[] =>
  paragraphs(text).flatMap((fields) => {
    const [name, version, architecture] = ['package', 'version', 'architecture'].map((field) => fields.get(field));
    const status = fields.get('status');
    if (name === undefined || version === undefined || (status !== undefined && !/ installed$/.test(status))) return [];
    return [{ kind: 'deb', name, version, source, ...(architecture === undefined ? {} : { architecture }) }];
  });

/** /lib/apk/db/installed: paragraphs of `X:value` lines (apk-tools: apk-package(5)). */
export const apkPackages = (text: string, source: string): readonly InstalledPackage[] =>
  text.split(/\n{2,}/).flatMap((paragraph) => {
    const field = (letter: string) => new RegExp(`^${letter}:(.*)$`, 'm').exec(paragraph)?.[1]?.trim();
    const [name, version, architecture, licence] = [field('P'), field('V'), field('A'), field('L')];
    if (name === undefined || version === undefined) return [];
    return [
      {
        kind: 'apk',
        name,
        version,
        source,
        ...(architecture === undefined ? {} : { architecture }),
        ...(licence === undefined ? {} : { licence }),
      },
    ];
  });

const tags = { name: 1000, version: 1001, release: 1002, epoch: 1003, licence: 1014, architecture: 1022 } as const;

/** One header of rpm's database (rpm: docs/manual/format_header.md): an index of tags, then their data. */
export function rpmPackage(header: Uint8Array, source: string): InstalledPackage | undefined {
  const bytes = Buffer.from(header);
  if (bytes.length < 8) return undefined;
  const [count, size] = [bytes.readUInt32BE(0), bytes.readUInt32BE(4)];
  const data = 8 + count * 16;
  if (count > 0xffff || data + size > bytes.length) return undefined;
  const at = (tag: number): number | undefined => {
    for (let entry = 8; entry < data; entry += 16)
      if (bytes.readUInt32BE(entry) === tag && bytes.readUInt32BE(entry + 8) < size)
        return data + bytes.readUInt32BE(entry + 8);
    return undefined;
  };
  const text = (tag: number): string | undefined => {
    const start = at(tag);
    const end = start === undefined ? -1 : bytes.indexOf(0, start);
    return start === undefined || end < 0 ? undefined : bytes.toString('utf8', start, end);
  };
  const [name, version, release, architecture, licence] = [
    text(tags.name),
    text(tags.version),
    text(tags.release),
    text(tags.architecture),
    text(tags.licence),
  ];
  if (name === undefined || version === undefined) return undefined;
  const epochAt = at(tags.epoch);
  const epoch = epochAt === undefined || epochAt + 4 > bytes.length ? '' : `${bytes.readUInt32BE(epochAt)}:`;
  return {
    kind: 'rpm',
    name,
    version: `${epoch}${version}${release === undefined ? '' : `-${release}`}`,
    source,
    ...(architecture === undefined ? {} : { architecture }),
    ...(licence === undefined ? {} : { licence }),
  };
}

/** rpmdb.sqlite, as a copy that nobody else opens. What is no such database has no packages. */
export function rpmPackages(file: string, source: string): readonly InstalledPackage[] {
  // A file of the image's maker: no functions, triggers or views of its own may run (sqlite.org/security.html).
  const db = new DatabaseSync(file, { readOnly: true, allowExtension: false, enableForeignKeyConstraints: false });
  try {
    db.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0');
    const table = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'Packages'").get();
    if (table === undefined) return [];
    const rows = db.prepare('SELECT blob FROM Packages LIMIT 100000').all();
    return rows.flatMap(({ blob }) => (blob instanceof Uint8Array ? (rpmPackage(blob, source) ?? []) : []));
  } catch {
    return []; // it is no database, or a broken one
  } finally {
    db.close();
  }
}
