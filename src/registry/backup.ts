import { copyFile, link, mkdir, readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { ContentStore } from '#content/index.ts';
import { GantryError } from '#errors/index.ts';

/**
 * Writes a hub's state into an empty directory, as it stands at one moment, while the hub goes on: the database (a
 * file's path) by SQLite's own snapshot, then each blob it names. Garbage must not be collected meanwhile. Blobs never change, so on the
 * same file system they are hard links.
 * @throws GantryError conflict where the directory holds something
 */
export async function backUp(
  { database, content }: { readonly database: string; readonly content: Pick<ContentStore, 'path' | 'root'> },
  directory: string,
): Promise<{ blobs: number }> {
  await mustBeEmpty(directory);
  using db = new DatabaseSync(database, { timeout: 5000 });
  db.prepare('VACUUM INTO ?').run(`${directory}/hub.db`);
  db.prepare('ATTACH ? AS snapshot').run(`${directory}/hub.db`);
  const digests = db.prepare('SELECT digest FROM snapshot.blobs UNION SELECT digest FROM snapshot.manifests').all();
  for (const { digest } of digests) {
    const from = content.path(String(digest));
    await copyBlob(from, `${directory}/content${from.slice(content.root.length)}`);
  }
  for (const file of ['oci-layout', 'index.json'])
    await copyFile(`${content.root}/${file}`, `${directory}/content/${file}`).catch(ignoreMissing);
  return { blobs: digests.length };
}

/** Copies a backup into an empty data root. @throws GantryError conflict, not-found where there is no backup */
export async function restore(backup: string, dataRoot: string): Promise<void> {
  await mustBeEmpty(dataRoot);
  const entries = await readdir(backup, { recursive: true, withFileTypes: true }).catch(() => []);
  if (!entries.some(({ name, parentPath }) => name === 'hub.db' && parentPath === backup))
    throw new GantryError('not-found', `${backup} holds no backup of a hub: it has no hub.db`);
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const from = `${entry.parentPath}/${entry.name}`;
    const to = `${dataRoot}${from.slice(backup.length)}`;
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await copyFile(from, to);
  }
}

async function copyBlob(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  try {
    await link(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    await copyFile(from, to);
  }
}

async function mustBeEmpty(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if ((await readdir(directory)).length > 0)
    throw new GantryError('conflict', `${directory} is not empty; name a directory that is, or is not there`);
}

const ignoreMissing = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'ENOENT') throw error;
};
