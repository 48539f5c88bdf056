import { AsyncLocalStorage } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import type { Sql } from 'postgres';
import { GantryError, messageOf } from '#errors/index.ts';
import type { Database, Row, Statement } from './database.ts';
import { forPostgres, migrations } from './schema.ts';

/** A connection of the pool, or the one of a transaction. */
type Queries = Pick<Sql, 'unsafe'>;
/** What is given for the numbered places of a statement, in their order. */
type Numbered = (given: readonly unknown[]) => unknown[];

const mostConnections = 10;
const mostAttempts = 5;
/** How often a hub makes sure that it still hears the others, in milliseconds, and after what silence it listens anew. */
const pingEvery = 2000;
const deafAfter = 5000;

/**
 * The hub's state in PostgreSQL (14 or newer), brought to this version's schema; any number of hubs use it at once. What
 * two transactions contend for is an advisory lock until the first ends; otherwise each statement sees what is committed.
 * @throws GantryError unavailable, unsupported where a newer version wrote it
 */
export async function openPostgresDatabase(url: string): Promise<Database> {
  // Only a hub on PostgreSQL pays for loading it.
  const { default: postgres } = await import('postgres');
  // As libpq has it: `postgres://user@/name?host=/run/postgresql` is a socket's directory.
  const parsed = new URL(url);
  const host = parsed.searchParams.get('host');
  parsed.searchParams.delete('host');
  const sql = postgres(parsed.href, {
    ...(host === null ? {} : { host }),
    max: mostConnections,
    onnotice: () => undefined,
    connection: { application_name: 'gantry hub' },
    // Counts, sizes and times in milliseconds: all below 2^53.
    types: { bigint: { to: 20, from: [20], parse: Number, serialize: String } },
  });
  try {
    await migrate(sql);
  } catch (error) {
    await sql.end({ timeout: 1 });
    if (error instanceof GantryError) throw error;
    throw new GantryError('unavailable', `the database cannot be used: ${messageOf(error)}`, { cause: error });
  }
  const within = new AsyncLocalStorage<Queries>();
  const events = new EventEmitter().setMaxListeners(0);
  const listening = new Map<string, Promise<unknown>>();
  let heard = Date.now();
  const hear = (channel: string): Promise<unknown> => {
    const begun = sql.listen(`gantry_${channel}`, (text) => {
      heard = Date.now();
      events.emit(channel, text);
    });
    listening.set(channel, begun);
    begun.catch(() => listening.delete(channel));
    return begun;
  };
  // The connection that listens may break, and what listens anew may find the database away, too.
  const pinging = setInterval(() => {
    if (listening.size === 0) return;
    if (Date.now() - heard > deafAfter) {
      heard = Date.now();
      for (const channel of events.eventNames()) hear(String(channel)).catch(() => undefined); // it is tried again
    }
    sql.notify(`gantry_${pings}`, '').catch(() => undefined); // readiness tells of a database that is away
  }, pingEvery).unref();

  const lock = async (queries: Queries, contended: readonly string[]): Promise<void> => {
    if (contended.length > 0)
      await queries.unsafe(
        'SELECT pg_advisory_xact_lock(hashtextextended(k, 0)) FROM unnest($1::text[]) AS k',
        [[...contended].sort()] as never[],
        { prepare: true },
      );
  };
  const prepare = (text: string): Statement => {
    const { numbered, values } = numberPlaces(text);
    const query = (given: readonly unknown[]) =>
      (within.getStore() ?? sql).unsafe(numbered, values(given) as never[], { prepare: true });
    return {
      get: async (...given) => (await query(given))[0] as Row | undefined,
      all: async (...given) => [...(await query(given))] as Row[],
      run: async (...given) => (await query(given)).count,
    };
  };
  const transact = async <T>(contended: readonly string[], body: () => Promise<T>): Promise<T> => {
    const outer = within.getStore();
    if (outer !== undefined) {
      await lock(outer, contended);
      return await body();
    }
    for (let attempt = 1; ; attempt++) {
      try {
        return (
          await sql.begin(async (connection) => {
            await lock(connection, contended);
            return { result: await within.run(connection, body) };
          })
        ).result as T;
      } catch (error) {
        if (attempt === mostAttempts || !isTryAgain(error)) throw error;
      }
    }
  };

  return {
    prepare,
    transact,
    // A commit waits for the disk in the server, where others share the wait.
    relaxed: { prepare, transact },
    async hold(right) {
      const connection = await sql.reserve();
      const key = `gantry hub ${right}`;
      const [row] = await connection`SELECT pg_try_advisory_lock(hashtextextended(${key}, 0)) AS held`;
      if (row?.held !== true) {
        connection.release();
        return undefined;
      }
      return {
        async [Symbol.asyncDispose]() {
          await connection`SELECT pg_advisory_unlock(hashtextextended(${key}, 0))`;
          connection.release();
        },
      };
    },
    notify: async (channel, text) => void (await sql.notify(`gantry_${channel}`, text)),
    async listen(channel, listener) {
      if (!listening.has(pings)) {
        events.on(pings, () => undefined);
        await hear(pings);
      }
      await (listening.get(channel) ?? hear(channel));
      events.on(channel, listener);
      return () => void events.off(channel, listener);
    },
    check: async () => void (await sql`SELECT 1`),
    async [Symbol.asyncDispose]() {
      clearInterval(pinging);
      await sql.end({ timeout: 5 });
    },
  };
}

/** The channel on which hubs only make sure that they hear. */
const pings = 'ping';

/** Serialisation failure, and a deadlock of which this side was given up (PostgreSQL: error codes). */
const isTryAgain = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === '40001' || error.code === '40P01');

/** `?` and `:name` become `$1`, `$2`, …; a name has one number however often it comes. */
export function numberPlaces(text: string): { readonly numbered: string; readonly values: Numbered } {
  const names: string[] = [];
  let places = 0;
  const numbered = text.replace(/'[^']*'|::\w+|:([a-z]\w*)|\?/gi, (whole: string, name: string | undefined) => {
    if (whole === '?') return `$${++places}`;
    if (name === undefined) return whole;
    if (!names.includes(name)) names.push(name);
    return `$${names.indexOf(name) + 1}`;
  });
  const values: Numbered =
    names.length === 0
      ? (given) => [...given]
      : ([object]) => names.map((name) => (object as Readonly<Record<string, unknown>>)[name]);
  return { numbered, values };
}

async function migrate(sql: Sql<{ bigint: number }>): Promise<void> {
  await sql.begin(async (connection) => {
    await connection`SELECT pg_advisory_xact_lock(hashtextextended('gantry hub schema', 0))`;
    await connection.unsafe('CREATE TABLE IF NOT EXISTS gantry_schema (version BIGINT NOT NULL)');
    const [row] = await connection`SELECT version FROM gantry_schema`;
    const version = Number(row?.version ?? 0);
    if (version > migrations.length)
      throw new GantryError('unsupported', `a newer version wrote the database (schema ${version}); update Gantry`);
    if (version === migrations.length) return;
    for (const migration of migrations.slice(version)) await connection.unsafe(forPostgres(migration));
    await connection`DELETE FROM gantry_schema`;
    await connection`INSERT INTO gantry_schema (version) VALUES (${migrations.length})`;
  });
}
