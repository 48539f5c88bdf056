import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import type { Volume, Volumes } from './volumes.ts';

/** Volumes as directories under `root` with rows in `db`: a row exists before its directory and goes after it. */
export function createVolumes({ db, root }: { readonly db: DatabaseSync; readonly root: string }): Volumes {
  db.exec(`
    CREATE TABLE IF NOT EXISTS volumes (name TEXT PRIMARY KEY, created TEXT NOT NULL, anonymous INTEGER NOT NULL, labels TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS volume_uses (name TEXT NOT NULL, container TEXT NOT NULL, PRIMARY KEY (name, container)) STRICT;
  `);
  const insert = db.prepare('INSERT INTO volumes (name, created, anonymous, labels) VALUES (?, ?, ?, ?)');
  const one = db.prepare('SELECT * FROM volumes WHERE name = ?');
  const all = db.prepare('SELECT * FROM volumes ORDER BY name');
  const drop = db.prepare('DELETE FROM volumes WHERE name = ?');
  const addUse = db.prepare('INSERT OR IGNORE INTO volume_uses (name, container) VALUES (?, ?)');
  const dropUses = db.prepare('DELETE FROM volume_uses WHERE container = ?');
  const uses = db.prepare('SELECT container FROM volume_uses WHERE name = ?');

  const pathOf = (name: string) => `${root}/${name}/_data`;
  const volumeOf = (row: Record<string, unknown>): Volume => ({
    name: String(row.name),
    path: pathOf(String(row.name)),
    created: String(row.created),
    anonymous: row.anonymous === 1,
    labels: JSON.parse(String(row.labels)) as Record<string, string>,
  });
  const get = (name: string): Volume | undefined => {
    const row = one.get(name);
    return row === undefined ? undefined : volumeOf(row);
  };

  return {
    async create({ name, labels = {} }) {
      if (name !== undefined && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
        throw new GantryError(
          'invalid',
          `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
        );
      }
      const known = name === undefined ? undefined : get(name);
      if (known !== undefined) return known;
      const chosen = name ?? randomBytes(32).toString('hex');
      insert.run(chosen, new Date().toISOString(), name === undefined ? 1 : 0, JSON.stringify(labels));
      await mkdir(pathOf(chosen), { recursive: true, mode: 0o755 });
      const made = get(chosen);
      if (made === undefined) throw new GantryError('internal', `volume ${chosen} vanished while it was made`);
      return made;
    },
    get,
    list: () => all.all().map(volumeOf),
    async remove(name) {
      if (get(name) === undefined) throw new GantryError('not-found', `get ${name}: no such volume`);
      const holders = uses.all(name).map((row) => String(row.container));
      if (holders.length > 0) {
        throw new GantryError('conflict', `remove ${name}: volume is in use - [${holders.join(', ')}]`, {
          code: 'volume-in-use',
        });
      }
      await rm(`${root}/${name}`, { recursive: true, force: true });
      drop.run(name);
    },
    use: (name, containerId) => void addUse.run(name, containerId),
    release: (containerId) => void dropUses.run(containerId),
  };
}
