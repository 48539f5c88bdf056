import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { type KeptEntry, stays } from './apply-context-list.ts';
import type { ListedEntry } from './context-list.ts';

/** Contexts that clients send again and again, kept as they were so that only what changed is sent. */
export interface KeptContexts {
  /**
   * Takes what is kept under a client's key, if anything, out for one build. The key is a secret of the client's: nobody
   * who does not know it gets at what it sent, and a second build at the same time begins with nothing.
   */
  offer(key: string, list: readonly ListedEntry[]): Promise<ContextOffer>;
  list(): readonly KeptRecord[];
  remove(id: string): Promise<void>;
  /** Removes the longest unused until the rest takes at most so many bytes. */
  trim(keepBytes: number): Promise<void>;
}

export interface KeptRecord {
  readonly id: string;
  readonly size: number;
  readonly used: Date;
}

/** A context between its list and its build. Disposed of without `keep`, what was kept is as before if it was not begun. */
export interface ContextOffer extends AsyncDisposable {
  /** Where in the list the files are whose contents are wanted. */
  readonly need: readonly number[];
  readonly list: readonly ListedEntry[];
  /** The tree, and what is in it; from here on the offer's owner changes it. */
  begin(): { readonly directory: string; readonly entries: ReadonlyMap<string, KeptEntry> };
  /** Keeps the tree with these entries for the next build, when this one is over. */
  keep(entries: ReadonlyMap<string, KeptEntry>): void;
}

/** `root` is a directory of its own; `busy` is one for contexts in use, emptied by whoever starts the builder. */
export function createKeptContexts(root: string, busy: string): KeptContexts {
  const idOf = (key: string) => createHash('sha256').update(key).digest('hex');
  /** What is in a kept tree, so that a daemon that runs on need not read it again. */
  const remembered = new Map<string, ReadonlyMap<string, KeptEntry>>();
  const entriesIn = async (id: string, directory: string) => {
    const known = remembered.get(id);
    remembered.delete(id);
    if (known !== undefined) return known;
    const saved = JSON.parse(await readFile(`${directory}/entries.json`, 'utf8')) as readonly KeptEntry[];
    return new Map(saved.map((entry) => [entry.path, entry]));
  };
  const list = () =>
    (existsSync(root) ? readdirSync(root) : []).flatMap((id): KeptRecord[] => {
      const size = Number(/^[0-9a-f]{64}\.(\d+)$/.exec(id)?.[1] ?? Number.NaN);
      const used = statSync(`${root}/${id}`, { throwIfNoEntry: false })?.mtime;
      return Number.isNaN(size) || used === undefined ? [] : [{ id, size, used }];
    });
  const remove = async (name: string) => {
    remembered.delete(name.slice(0, 64));
    const place = `${busy}/context-${randomBytes(8).toString('hex')}`;
    try {
      // Whoever takes it out meanwhile gets all of it or nothing.
      await rename(`${root}/${name}`, place);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
      throw error;
    }
    await rm(place, { recursive: true, force: true });
  };
  return {
    async offer(key, wanted) {
      const id = idOf(key);
      const place = `${busy}/context-${randomBytes(8).toString('hex')}`;
      const found = list().find((record) => record.id.startsWith(id));
      let entries: ReadonlyMap<string, KeptEntry> = new Map();
      if (found !== undefined)
        try {
          await rename(`${root}/${found.id}`, place);
          entries = await entriesIn(id, place);
        } catch {
          // Another build has it, or a crash left half of it: begin with nothing.
          entries = new Map();
          await rm(place, { recursive: true, force: true });
        }
      if (entries.size === 0) await mkdir(`${place}/tree`, { recursive: true, mode: 0o755 });
      let state: 'untouched' | 'begun' | 'kept' | 'over' = 'untouched';
      let after = entries;
      return {
        list: wanted,
        need: wanted.flatMap((entry, at) =>
          entry.type === 'file' && !stays(entries.get(entry.path), entry) ? [at] : [],
        ),
        begin() {
          state = 'begun';
          return { directory: `${place}/tree`, entries };
        },
        keep(kept) {
          state = 'kept';
          after = kept;
        },
        async [Symbol.asyncDispose]() {
          const ended = state;
          state = 'over';
          if (ended === 'over') return;
          const size = [...after.values()].reduce((sum, entry) => sum + entry.size, 0);
          const already = list().some((record) => record.id.startsWith(id));
          if (ended === 'begun' || after.size === 0 || already) {
            await rm(place, { recursive: true, force: true });
            return;
          }
          if (ended === 'kept')
            await writeFile(`${place}/entries.json`, JSON.stringify([...after.values()]), { mode: 0o600 });
          await mkdir(root, { recursive: true, mode: 0o700 });
          await rename(place, `${root}/${id}.${size}`);
          remembered.set(id, after);
          if (remembered.size > 8) remembered.delete(remembered.keys().next().value ?? '');
        },
      };
    },
    list,
    remove,
    async trim(keepBytes) {
      const all = list().toSorted((a, b) => a.used.getTime() - b.used.getTime());
      let total = all.reduce((sum, { size }) => sum + size, 0);
      for (const { id, size } of all) {
        if (total <= keepBytes) return;
        await remove(id);
        total -= size;
      }
    },
  };
}
