import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import type { Container } from './engine.ts';

/**
 * Containers as rows: what was acknowledged is on disk. What no crash of the host can leave true (a process runs) or wanted
 * (a container that removes itself) is not waited for: a crash of the daemon alone loses none of it either. Reads come from
 * memory.
 */
export interface ContainerStore {
  put(container: Container): void;
  /**
   * Like put, of what is so whether it can be written or not (a process ended, a user stopped it): where the disk takes
   * nothing it is kept in memory, and written with the next change that can be.
   */
  settle(container: Container): void;
  /** Only in memory: facts that are found anew after a restart. */
  note(container: Container): void;
  delete(id: string): void;
  /** @throws GantryError not-found, invalid where a prefix fits several */
  find(nameOrId: string): Container;
  get(id: string): Container | undefined;
  byName(name: string): Container | undefined;
  all(): readonly Container[];
}

/** Opens the table `containers` of the engine's database. */
export function createContainerStore(
  db: DatabaseSync,
  { onError }: { onError: (error: unknown, about: string) => void },
): ContainerStore {
  db.exec('CREATE TABLE IF NOT EXISTS containers (id TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT');
  const byId = new Map<string, Container>();
  for (const row of db.prepare('SELECT json FROM containers').all()) {
    const container = JSON.parse(String(row.json)) as Container;
    byId.set(container.id, container);
  }
  const upsert = db.prepare(
    'INSERT INTO containers (id, json) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json',
  );
  const remove = db.prepare('DELETE FROM containers WHERE id = ?');
  const surviveHost = (container: Container) =>
    !container.options.autoRemove && (container.state.status === 'created' || container.state.status === 'exited');
  const write = (container: Container, work: () => void) => {
    if (surviveHost(container)) return work();
    db.exec('PRAGMA synchronous = NORMAL');
    try {
      work();
    } finally {
      db.exec('PRAGMA synchronous = FULL');
    }
  };
  /** Of these the database does not hold what memory does. */
  const unwritten = new Set<string>();
  const put = (container: Container) => {
    write(container, () => void upsert.run(container.id, JSON.stringify(container)));
    unwritten.delete(container.id);
    byId.set(container.id, container);
  };
  const settle = (container: Container) => {
    try {
      put(container);
    } catch (error) {
      byId.set(container.id, container);
      if (!unwritten.has(container.id)) onError(error, `the state of container ${container.id} is only in memory`);
      unwritten.add(container.id);
    }
  };
  /** After a change that could be written: those that could not. */
  const writeOthers = () => {
    for (const id of unwritten) {
      const container = byId.get(id);
      if (container === undefined) unwritten.delete(id);
      else settle(container);
    }
  };
  const byName = (name: string) => byId.values().find((container) => container.name === name);
  return {
    put(container) {
      put(container);
      writeOthers();
    },
    settle,
    note(container) {
      byId.set(container.id, container);
    },
    get: (id) => byId.get(id),
    delete(id) {
      const container = byId.get(id);
      if (container !== undefined) write(container, () => void remove.run(id));
      byId.delete(id);
      writeOthers();
    },
    find(nameOrId) {
      const wanted = nameOrId.replace(/^\//, '');
      const exact = byId.get(wanted) ?? byName(wanted);
      if (exact !== undefined) return exact;
      const fits = /^[0-9a-f]+$/.test(wanted)
        ? byId
            .values()
            .filter((c) => c.id.startsWith(wanted))
            .toArray()
        : [];
      const [only] = fits;
      if (only === undefined)
        throw new GantryError('not-found', `No such container: ${wanted}`, { code: 'container-not-found' });
      if (fits.length > 1)
        throw new GantryError('invalid', `"${wanted}" fits ${fits.length} containers; give more of the id`);
      return only;
    },
    byName,
    all: () => [...byId.values()],
  };
}
