import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { project, run, stopProcess, until } from '../harness/program.ts';
import type { HubStorage } from '../hub/hub-under-test.ts';

/** A PostgreSQL of the test's own behind a socket in its own directory, and an S3-compatible store on a free port. */
export interface SharedStorage extends AsyncDisposable {
  /** A fresh database, and a fresh bucket. */
  fresh(): Promise<{ readonly database: string; readonly bucket: string }>;
  /** Ends PostgreSQL, with all its connections, and starts it again. */
  stopDatabase(): Promise<void>;
  startDatabase(): Promise<void>;
  readonly endpoint: string;
  /** The variables with the store's keys. */
  readonly keys: Readonly<Record<string, string>>;
  /** What the object store holds, as files. */
  readonly objectRoot: string;
}

/** Debian keeps the programs of each version apart. */
function postgresPrograms(): string {
  const root = '/usr/lib/postgresql';
  const [newest] = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  if (newest === undefined) throw new Error('these tests need PostgreSQL: npm run setup -- --for test installs it');
  return `${root}/${newest}/bin`;
}

export async function startSharedStorage(): Promise<SharedStorage> {
  const root = mkdtempSync(join(tmpdir(), 'gantry-shared-'));
  const programs = postgresPrograms();
  // The server does not run as root.
  const owner = process.getuid?.() === 0 ? userOf('postgres') : undefined;
  for (const directory of [root, `${root}/pg`]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (owner !== undefined) chownSync(directory, owner.uid, owner.gid);
  }
  mkdirSync(`${root}/s3`);
  // Debian's postgres does as it is told to by its command line alone: no configuration of the machine is read.
  const initdb = ['-D', `${root}/pg`, '-U', 'gantry', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--locale=C'];
  execFileSync(`${programs}/initdb`, initdb, { ...owner, cwd: '/', stdio: ['ignore', 'ignore', 'inherit'] });
  const options = ['-D', `${root}/pg`, '-k', root, '-c', 'listen_addresses=', '-c', 'fsync=off'];
  const startPostgres = () => spawn(`${programs}/postgres`, options, { ...owner, cwd: '/', stdio: 'ignore' });
  let postgres = startPostgres();
  const socket = `host=${encodeURIComponent(root)}`;
  const sql = (text: string) => run(`${programs}/psql`, ['-h', root, '-U', 'gantry', '-d', 'postgres', '-c', text]);
  const objects = await startObjects(`${root}/s3`);
  let count = 0;
  const stop = async () => {
    // Its connections are ended with it; a clean one has nothing left to write.
    await stopProcess(postgres, 'SIGINT');
    await stopProcess(objects.child);
    rmSync(root, { recursive: true, force: true });
  };
  const answers = () => until(async () => ((await sql('SELECT 1')).code === 0 ? true : undefined));
  try {
    await answers();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    endpoint: objects.endpoint,
    keys: { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' },
    objectRoot: `${root}/s3`,
    async fresh() {
      const name = `gantry${++count}`;
      const { code, stderr } = await sql(`CREATE DATABASE ${name}`);
      if (code !== 0) throw new Error(stderr);
      mkdirSync(`${root}/s3/${name}`);
      return { database: `postgres://gantry@localhost/${name}?${socket}`, bucket: name };
    },
    stopDatabase: () => stopProcess(postgres, 'SIGINT'),
    async startDatabase() {
      postgres = startPostgres();
      await answers();
    },
    [Symbol.asyncDispose]: stop,
  };
}

function userOf(name: string): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** `s3rver`, in a process of its own, because it is not of this Node's time. */
async function startObjects(directory: string): Promise<{ child: ChildProcess; endpoint: string }> {
  const program = createRequire(import.meta.url).resolve('s3rver/bin/s3rver.js', { paths: [project] });
  const args = ['--no-deprecation', program, '-d', directory, '-a', '127.0.0.1', '-p', '0', '-s', '--no-vhost-buckets'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const endpoint = await new Promise<string>((done, fail) => {
    let text = '';
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString();
      const found = /listening on\D+((?:\d+\.){3}\d+:\d+)/.exec(text)?.[1];
      if (found !== undefined) done(`http://${found}`);
    });
    child.once('exit', (code) => fail(new Error(`s3rver ended with ${code}: ${text}`)));
  });
  return { child, endpoint };
}

/** The flags and variables of a hub on a database and a bucket. */
export const hubStorageOf = (
  { endpoint, keys }: SharedStorage,
  { database, bucket }: { readonly database: string; readonly bucket: string },
): HubStorage => ({
  flags: ['--s3-endpoint', endpoint, '--s3-bucket', bucket],
  // A password in a URL is nobody's business in a list of processes.
  env: { ...keys, GANTRY_HUB_DATABASE: database },
});
