import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { GantryError } from '#errors/index.ts';
import { allocatedBytes, check, kernel, SyscallError } from '#linux/index.ts';
import { volumeSource } from './volume-options.ts';
import type { Volume, Volumes } from './volumes.ts';

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** Volumes as directories under `root` with rows in `db`: a row exists before its directory and goes after it. */
export function createVolumes({ db, root }: { readonly db: DatabaseSync; readonly root: string }): Volumes {
  db.exec(`
    CREATE TABLE IF NOT EXISTS volumes (name TEXT PRIMARY KEY, created TEXT NOT NULL, anonymous INTEGER NOT NULL, labels TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS volume_options (name TEXT PRIMARY KEY, options TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS volume_uses (name TEXT NOT NULL, container TEXT NOT NULL, PRIMARY KEY (name, container)) STRICT;
    CREATE TABLE IF NOT EXISTS volume_mounts (name TEXT NOT NULL, container TEXT NOT NULL, PRIMARY KEY (name, container)) STRICT;
  `);
  const insert = db.prepare('INSERT INTO volumes (name, created, anonymous, labels) VALUES (?, ?, ?, ?)');
  const insertOptions = db.prepare('INSERT OR REPLACE INTO volume_options (name, options) VALUES (?, ?)');
  const select = 'SELECT volumes.*, options FROM volumes LEFT JOIN volume_options USING (name)';
  const one = db.prepare(`${select} WHERE name = ?`);
  const all = db.prepare(`${select} ORDER BY name`);
  const drop = db.prepare('DELETE FROM volumes WHERE name = ?');
  const dropOptions = db.prepare('DELETE FROM volume_options WHERE name = ?');
  const addUse = db.prepare('INSERT OR IGNORE INTO volume_uses (name, container) VALUES (?, ?)');
  const dropUses = db.prepare('DELETE FROM volume_uses WHERE container = ?');
  const users = db.prepare('SELECT DISTINCT container FROM volume_uses');
  const uses = db.prepare('SELECT container FROM volume_uses WHERE name = ?');
  const addMount = db.prepare('INSERT OR IGNORE INTO volume_mounts (name, container) VALUES (?, ?)');
  const dropMounts = db.prepare('DELETE FROM volume_mounts WHERE container = ?');
  const mounts = db.prepare('SELECT name, container FROM volume_mounts');

  const pathOf = (name: string) => `${root}/${name}/_data`;
  const volumeOf = (row: Record<string, unknown>): Volume => ({
    name: String(row.name),
    path: pathOf(String(row.name)),
    created: String(row.created),
    anonymous: row.anonymous === 1,
    labels: JSON.parse(String(row.labels)) as Record<string, string>,
    options: row.options === null ? {} : (JSON.parse(String(row.options)) as Record<string, string>),
  });
  const get = (name: string): Volume | undefined => {
    const row = one.get(name);
    return row === undefined ? undefined : volumeOf(row);
  };
  const existing = (name: string): Volume => {
    const volume = get(name);
    if (volume === undefined) throw new GantryError('not-found', `get ${name}: no such volume`);
    return volume;
  };
  const mounted = () => mounts.all().map((row) => ({ name: String(row.name), container: String(row.container) }));

  /** One mount of a volume at a time: two containers that start together share one. */
  const turns = new Map<string, Promise<void>>();
  async function inTurn(name: string, work: () => Promise<void>): Promise<void> {
    const turn = (turns.get(name) ?? Promise.resolve()).then(work);
    const settled = turn.catch(() => undefined);
    turns.set(name, settled);
    await turn;
    if (turns.get(name) === settled) turns.delete(name);
  }

  /** A mount point is on another device than what it is in. */
  function isMounted(name: string): boolean {
    const inside = statSync(pathOf(name), { throwIfNoEntry: false });
    const outside = statSync(`${root}/${name}`, { throwIfNoEntry: false });
    return inside !== undefined && outside !== undefined && inside.dev !== outside.dev;
  }

  function takeBack(name: string): void {
    if (mounted().some((row) => row.name === name) || !isMounted(name)) return;
    check(kernel.call('umount2', pathOf(name), MNT_DETACH | UMOUNT_NOFOLLOW), 'umount', pathOf(name));
  }

  function unmount(container: string): void {
    const names = mounted().filter((row) => row.container === container);
    dropMounts.run(container);
    for (const { name } of names) takeBack(name);
  }

  return {
    open(live, containers) {
      for (const row of users.all()) if (!containers.has(String(row.container))) dropUses.run(String(row.container));
      for (const container of new Set(mounted().map((row) => row.container)))
        if (!live.has(container)) unmount(container);
    },
    async create({ name, labels = {}, options = {} }) {
      if (name !== undefined && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
        throw new GantryError(
          'invalid',
          `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
        );
      }
      volumeSource(options);
      const known = name === undefined ? undefined : get(name);
      if (known !== undefined) {
        if (Object.keys(options).length > 0 && !isDeepStrictEqual(options, known.options))
          throw new GantryError(
            'conflict',
            `create ${name}: a volume of that name exists, with other options (${JSON.stringify(known.options)})`,
            { code: 'name-in-use' },
          );
        // A daemon that died between the row and the directory left only the row.
        await mkdir(pathOf(known.name), { recursive: true, mode: 0o755 });
        return known;
      }
      const chosen = name ?? randomBytes(32).toString('hex');
      insert.run(chosen, new Date().toISOString(), name === undefined ? 1 : 0, JSON.stringify(labels));
      if (Object.keys(options).length > 0) insertOptions.run(chosen, JSON.stringify(options));
      await mkdir(pathOf(chosen), { recursive: true, mode: 0o755 });
      return existing(chosen);
    },
    get,
    list: () => all.all().map(volumeOf),
    async remove(name) {
      existing(name);
      const holders = uses.all(name).map((row) => String(row.container));
      if (holders.length > 0) {
        throw new GantryError('conflict', `remove ${name}: volume is in use - [${holders.join(', ')}]`, {
          code: 'volume-in-use',
        });
      }
      takeBack(name);
      await rm(`${root}/${name}`, { recursive: true, force: true });
      drop.run(name);
      dropOptions.run(name);
    },
    size: async (name) => (await allocatedBytes(existing(name).path)) ?? 0,
    usersOf: (name) => uses.all(name).map((row) => String(row.container)),
    use: (name, containerId) => void addUse.run(name, containerId),
    release: (containerId) => void dropUses.run(containerId),
    async mount(name, containerId) {
      const { path, options } = existing(name);
      const source = volumeSource(options);
      switch (source.kind) {
        case 'directory':
          return path;
        case 'bind': {
          const found = await stat(source.device).catch(() => undefined);
          if (found === undefined)
            throw new GantryError(
              'invalid',
              `error while mounting volume '${name}': the directory ${source.device} does not exist`,
            );
          return source.device;
        }
        case 'filesystem':
          addMount.run(name, containerId); // first, so that a crash cannot leave a mount without an owner
          try {
            await inTurn(name, async () => {
              if (isMounted(name)) return;
              const result = await kernel.callAsync(
                'mount',
                source.device,
                path,
                source.type,
                source.flags,
                source.data,
              );
              check(result, 'mount', `${source.type} ${source.device}`);
            });
          } catch (error) {
            unmount(containerId);
            if (!(error instanceof SyscallError)) throw error;
            throw new GantryError(
              'invalid',
              `error while mounting volume '${name}': ${source.type} of ${source.device} with "${options.o ?? ''}": ${error.code}`,
              { cause: error },
            );
          }
          return path;
      }
    },
    unmount,
  };
}
