import { AsyncLocalStorage } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { closeSync, fdatasync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { GantryError } from '#errors/index.ts';
import { holdFile } from '#linux/index.ts';
import type { Arguments, Database, Row, Statement } from './database.ts';
import { migrations } from './schema.ts';

type Body = () => Promise<unknown>;
interface Waiting {
  readonly body: Body;
  readonly settle: PromiseWithResolvers<unknown>;
  /** Whether it is acknowledged only when it is on the disk. */
  readonly durable: boolean;
}

const sync = promisify(fdatasync);

/**
 * The hub's database as one file, brought to this version's schema; another process, such as `gantry hub user add`, may
 * use it at the same time. One connection reads, one writes. Writes that wait for their turn share one commit, and commits
 * share one fdatasync of the write-ahead log, by a thread of the pool, so that the loop never waits for the disk.
 * @throws GantryError unsupported where a newer version wrote it
 */
export async function openSqliteDatabase(path: string): Promise<Database> {
  const open = () => new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 5000 });
  const writer = open();
  writer.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  migrate(writer, path);
  // From here on the log is synced below, before anything is acknowledged, and by SQLite itself before a checkpoint.
  writer.exec('PRAGMA synchronous = NORMAL');
  const reader = open();
  const log = openSync(`${path}-wal`, 'r');
  const within = new AsyncLocalStorage<true>();
  const events = new EventEmitter().setMaxListeners(0);

  let syncing: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  /** Fulfilled when all that is committed by now is on the disk. */
  const onDisk = (): Promise<void> => {
    if (syncing === undefined) {
      syncing = sync(log).finally(() => {
        syncing = undefined;
      });
      return syncing;
    }
    // What is underway may have begun before the commit.
    next ??= syncing
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return onDisk();
      });
    return next;
  };

  let queue: Waiting[] = [];
  let writing = false;
  const enqueue = <T>(body: () => Promise<T>, durable: boolean): Promise<T> => {
    const settle = Promise.withResolvers<unknown>();
    queue.push({ body, settle, durable });
    if (!writing) {
      writing = true;
      void writeAll();
    }
    return settle.promise as Promise<T>;
  };
  const writeAll = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue;
      queue = [];
      await writeBatch(batch).catch((error: unknown) => {
        if (writer.isTransaction) writer.exec('ROLLBACK');
        for (const { settle } of batch) settle.reject(error);
      });
    }
    writing = false;
  };
  /** One commit for all of a batch; a body that fails takes back only what it did itself. */
  const writeBatch = async (batch: readonly Waiting[]): Promise<void> => {
    writer.exec('BEGIN IMMEDIATE');
    const done: { readonly settle: Waiting['settle']; readonly result: unknown; readonly durable: boolean }[] = [];
    for (const { body, settle, durable } of batch) {
      writer.exec('SAVEPOINT body');
      try {
        done.push({ settle, durable, result: await within.run(true, body) });
      } catch (error) {
        // A full disk, for one, ends the whole transaction.
        if (!writer.isTransaction) throw error;
        writer.exec('ROLLBACK TO body');
        settle.reject(error);
      }
      writer.exec('RELEASE body');
    }
    writer.exec('COMMIT');
    recall.forget();
    const synced = done.some(({ durable }) => durable) ? onDisk() : undefined;
    for (const { settle, result, durable } of done)
      if (durable && synced !== undefined) synced.then(() => settle.resolve(result), settle.reject);
      else settle.resolve(result);
  };

  const recall = createReadMemory(reader);
  const prepare = (sql: string, durable: boolean): Statement => {
    const forWriting = writer.prepare(sql);
    const forReading = /^\s*SELECT\b/i.test(sql) ? reader.prepare(sql) : undefined;
    const remembered = forReading === undefined ? undefined : recall.of(forReading);
    const perform = async <T>(how: (statement: StatementSync) => T): Promise<T> => {
      if (within.getStore() === true) return how(forWriting);
      if (forReading !== undefined) return how(forReading);
      return await enqueue(async () => how(forWriting), durable);
    };
    return {
      get: async (...parameters) =>
        remembered === undefined || within.getStore() === true
          ? await perform((statement) => statement.get(...given(parameters)))
          : remembered(parameters),
      all: (...parameters) => perform((statement) => statement.all(...given(parameters)) as Row[]),
      run: (...parameters) => perform((statement) => Number(statement.run(...given(parameters)).changes)),
    };
  };
  const transact = <T>(body: () => Promise<T>, durable: boolean): Promise<T> =>
    within.getStore() === true ? body() : enqueue(body, durable);

  return {
    prepare: (sql) => prepare(sql, true),
    transact: (_contended, body) => transact(body, true),
    relaxed: {
      prepare: (sql) => prepare(sql, false),
      transact: (_contended, body) => transact(body, false),
    },
    async hold(right) {
      const held = holdFile(`${path.slice(0, path.lastIndexOf('/'))}/${right}.lock`);
      return held === undefined ? undefined : { [Symbol.asyncDispose]: async () => held[Symbol.dispose]() };
    },
    notify: async (channel, text) => void events.emit(channel, text),
    async listen(channel, listener) {
      events.on(channel, listener);
      return () => void events.off(channel, listener);
    },
    async check() {
      reader.prepare('SELECT 1').get();
    },
    async [Symbol.asyncDispose]() {
      while (writing) await enqueue(async () => undefined, true);
      await onDisk();
      closeSync(log);
      reader.close();
      writer.close();
    },
  };
}

type Given = Parameters<StatementSync['get']>;
const given = (parameters: unknown): Given => parameters as Given;

/** How many rows one statement remembers. */
const mostRemembered = 500;

/**
 * Remembers first rows for one turn of the event loop, which is one moment for whoever asks: of many requests that came
 * together, most ask the same. What this process commits is forgotten at once, what another commits when the next turn
 * finds the database's version changed (`PRAGMA data_version`); in between rows are kept.
 */
function createReadMemory(reader: DatabaseSync) {
  const version = reader.prepare('PRAGMA data_version');
  const memories = new Set<Map<string, Row | undefined>>();
  let known: unknown;
  let fresh = false;
  const forget = () => {
    for (const memory of memories) memory.clear();
  };
  const refresh = () => {
    fresh = true;
    setImmediate(() => {
      fresh = false;
    });
    const now = version.get()?.data_version;
    if (now !== known) forget();
    known = now;
  };
  const keyOf = (parameters: Arguments): string | undefined => {
    let key = '';
    for (const value of parameters) {
      if (typeof value !== 'string' && typeof value !== 'number') return undefined;
      key += `${typeof value === 'string' ? value.length : 'n'}:${value};`;
    }
    return key;
  };
  return {
    forget,
    of(statement: StatementSync): (parameters: Arguments) => Row | undefined {
      const memory = new Map<string, Row | undefined>();
      memories.add(memory);
      return (parameters) => {
        const key = keyOf(parameters);
        if (key === undefined) return statement.get(...given(parameters));
        if (!fresh) refresh();
        if (memory.has(key)) return memory.get(key);
        const row = statement.get(...given(parameters));
        if (memory.size >= mostRemembered) memory.clear();
        memory.set(key, row);
        return row;
      };
    },
  };
}

function migrate(db: DatabaseSync, path: string): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    const version = Number(db.prepare('PRAGMA user_version').get()?.user_version);
    if (version > migrations.length)
      throw new GantryError('unsupported', `${path} was written by a newer version (schema ${version}); update Gantry`);
    for (const migration of migrations.slice(version)) db.exec(migration);
    db.exec(`PRAGMA user_version = ${migrations.length}`);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
