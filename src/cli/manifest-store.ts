import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { canonicalReference, type Reference } from '#oci/index.ts';
import { entryText, type ManifestEntry, parseEntry } from './manifest-entry.ts';

/** The lists that are made and not pushed yet: `manifests/LIST/MANIFEST` in the client's folder, as Docker's client has them. */
export interface ManifestStore {
  /** In the order of their names; undefined where there is no such list. */
  list(list: Reference): readonly ManifestEntry[] | undefined;
  get(list: Reference, manifest: Reference): ManifestEntry | undefined;
  save(list: Reference, manifest: Reference, entry: ManifestEntry): void;
  remove(list: Reference): void;
}

const fileName = (reference: Reference) => canonicalReference(reference).replaceAll(':', '-').replaceAll('/', '_');

function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (/^(?:ENOENT|ENOTDIR)$/.test((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** The store in the folder of the client's config.json. */
export function manifestStore(configDirectory: string): ManifestStore {
  const directoryOf = (list: Reference) => `${configDirectory}/manifests/${fileName(list)}`;
  const read = (path: string) => ifThere(() => parseEntry(readFileSync(path, 'utf8'), path));
  return {
    list: (list) =>
      ifThere(() => readdirSync(directoryOf(list)).filter((name) => !name.startsWith('.')))
        ?.toSorted()
        .flatMap((name) => read(`${directoryOf(list)}/${name}`) ?? []),
    get: (list, manifest) => read(`${directoryOf(list)}/${fileName(manifest)}`),
    save(list, manifest, entry) {
      const directory = directoryOf(list);
      mkdirSync(directory, { recursive: true });
      const temporary = `${directory}/.${process.pid}-${fileName(manifest)}`;
      writeFileSync(temporary, entryText(entry));
      renameSync(temporary, `${directory}/${fileName(manifest)}`);
    },
    remove: (list) => rmSync(directoryOf(list), { recursive: true, force: true }),
  };
}
