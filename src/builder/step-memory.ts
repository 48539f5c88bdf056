import type { DatabaseSync } from 'node:sqlite';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { digestOf } from '#oci/index.ts';

/** Everything that a step's result depends on, each under the name that a person knows it by. */
export interface StepInputs {
  /** Identity of the file system that the step stands on. */
  readonly parent: string;
  readonly facts: Readonly<Record<string, unknown>>;
  /** Files of a context, path and digest, where the step copies any. */
  readonly files?: readonly (readonly [path: string, digest: string])[];
}

/** Where a step stands in its Dockerfile. */
export interface StepPlace {
  readonly kind: string;
  readonly dockerfile: string;
  readonly stage: string;
  readonly original: string;
}

/** Remembers what steps were made from, to tell why one is made again. */
export interface StepMemory {
  /** In a sentence or two: which input differs from the last time that this instruction was run. */
  explain(place: StepPlace, key: string, inputs: StepInputs): string;
  remember(place: StepPlace, key: string, inputs: StepInputs): void;
}

interface Remembered extends StepInputs {
  readonly original: string;
}

const mostRows = 5000;
const mostNamed = 3;
const mostShown = 60;

export function createStepMemory(db: DatabaseSync): StepMemory {
  db.exec(`
    CREATE TABLE IF NOT EXISTS build_steps (
      key TEXT PRIMARY KEY, slot TEXT NOT NULL, kind TEXT NOT NULL, parent TEXT NOT NULL, remembered BLOB NOT NULL,
      used INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS build_steps_by_slot ON build_steps (slot, used);
    CREATE INDEX IF NOT EXISTS build_steps_by_parent ON build_steps (parent, kind, used);
  `);
  const byKey = db.prepare('SELECT 1 FROM build_steps WHERE key = ?');
  const bySlot = db.prepare('SELECT remembered FROM build_steps WHERE slot = ? ORDER BY used DESC LIMIT 1');
  const byParent = db.prepare(
    'SELECT remembered FROM build_steps WHERE parent = ? AND kind = ? ORDER BY used DESC LIMIT 1',
  );
  const insert = db.prepare('INSERT OR REPLACE INTO build_steps VALUES (?, ?, ?, ?, ?, ?)');
  const trim = db.prepare(
    'DELETE FROM build_steps WHERE key IN (SELECT key FROM build_steps ORDER BY used DESC LIMIT -1 OFFSET ?)',
  );
  const read = (row: Record<string, unknown> | undefined): Remembered | undefined =>
    row?.remembered instanceof Uint8Array
      ? (JSON.parse(zstdDecompressSync(row.remembered).toString('utf8')) as Remembered)
      : undefined;
  const slotOf = ({ kind, dockerfile, stage, original }: StepPlace) =>
    digestOf(JSON.stringify([kind, dockerfile, stage, original]));
  let written = 0;
  return {
    explain(place, key, inputs) {
      if (byKey.get(key) !== undefined) return 'its result was removed from the cache';
      const last = read(bySlot.get(slotOf(place)));
      if (last !== undefined) return differences(last, inputs);
      const sibling = read(byParent.get(inputs.parent, place.kind));
      return sibling === undefined
        ? 'it was never run before'
        : `no step like it ran here before; the last one on the same files was ${shown(sibling.original)}`;
    },
    remember(place, key, inputs) {
      const remembered: Remembered = { ...inputs, original: place.original };
      insert.run(
        key,
        slotOf(place),
        place.kind,
        inputs.parent,
        zstdCompressSync(JSON.stringify(remembered)),
        Date.now(),
      );
      if (++written % 100 === 0) trim.run(mostRows);
    },
  };
}

function differences(last: StepInputs, now: StepInputs): string {
  const found: string[] = [];
  for (const name of new Set([...Object.keys(last.facts), ...Object.keys(now.facts)])) {
    const [before, after] = [last.facts[name], now.facts[name]];
    if (JSON.stringify(before) === JSON.stringify(after)) continue;
    if (name === 'files') found.push(...changedFiles(last.files, now.files));
    else if (before === undefined) found.push(`${name} is new: ${shown(after)}`);
    else if (after === undefined) found.push(`${name} is gone; it was ${shown(before)}`);
    else found.push(`${name} was ${shown(before)} and is ${shown(after)}`);
  }
  if (found.length === 0 || last.parent !== now.parent) found.push('a step before it has another result');
  const more = found.length - mostNamed;
  return `${found.slice(0, mostNamed).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

function changedFiles(last: StepInputs['files'], now: StepInputs['files']): readonly string[] {
  if (last === undefined || now === undefined) return ['the files it copies changed'];
  const before = new Map(last);
  const after = new Map(now);
  const named = (path: string) => (path === '' ? 'the directory itself' : path);
  return [
    ...now
      .filter(([path, digest]) => before.has(path) && before.get(path) !== digest)
      .map(([path]) => `${named(path)} changed`),
    ...now.filter(([path]) => !before.has(path)).map(([path]) => `${named(path)} is new`),
    ...last.filter(([path]) => !after.has(path)).map(([path]) => `${named(path)} is gone`),
  ];
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return JSON.stringify(text.length > mostShown ? `${text.slice(0, mostShown)}…` : text);
}
