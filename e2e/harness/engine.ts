import { type ChildProcess, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { busyboxRootfs } from './images.ts';
import { leftovers } from './leftovers.ts';
import { gantryProgram, type Outcome, type RunOptions, run, startService, stopProcess } from './program.ts';

export interface Engine extends AsyncDisposable {
  /** `unix://…` */
  readonly host: string;
  readonly root: string;
  readonly bridge: string;
  /** Our command line against this engine. */
  gantry(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** The stock docker client against this engine. */
  docker(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** The environment that points either client here. */
  readonly env: Readonly<Record<string, string>>;
  /** One API call; JSON bodies both ways. */
  api(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown; text: string }>;
  pid(): number;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts the daemon again on the same roots, once with more options. */
  restart(more?: readonly string[]): Promise<void>;
  output(): string;
}

let count = 0;

/**
 * The runtime that the engine's tests run containers with, where it is not our own: `runc`, `crun`, or the path of a program
 * with runc's command line, e.g. `GANTRY_TEST_RUNTIME=$PWD/bin/gantry-runtime npm test -- e2e/run/run.test.ts`.
 */
const { GANTRY_TEST_RUNTIME: other } = process.env;
const runtimeOptions =
  other === undefined
    ? []
    : [
        ...(other.includes('/') ? ['--add-runtime', `other=${other}`] : []),
        '--default-runtime',
        other.includes('/') ? 'other' : other,
      ];

/** The storage driver that the engine's tests run on, where it is not the default: `GANTRY_TEST_STORAGE=erofs`. */
const { GANTRY_TEST_STORAGE: storage } = process.env;
const storageOptions = storage === undefined ? [] : ['--storage-driver', storage];

/**
 * A daemon of the test's own, run by the command `under` if one is given: private roots, socket and bridge, with the image
 * `busybox`. Disposing of it removes all containers, ends it, and fails where anything of it is left in the kernel.
 */
export async function startEngine(more: readonly string[] = [], under: readonly string[] = []): Promise<Engine> {
  const root = mkdtempSync(join(tmpdir(), 'gantry-e2e-'));
  const bridge = `gt${process.pid.toString(36)}${(count++).toString(36)}`;
  const socket = `${root}/gantry.sock`;
  const host = `unix://${socket}`;
  const args = [
    'daemon',
    '--host',
    host,
    '--data-root',
    `${root}/data`,
    '--exec-root',
    `${root}/run`,
    '--bridge',
    bridge,
    ...runtimeOptions,
    ...storageOptions,
    ...more,
  ];
  const env = { GANTRY_HOST: host, DOCKER_HOST: host, DOCKER_CONFIG: `${root}/config`, DOCKER_BUILDKIT: '0' };
  let service = await startService(args, {}, under);
  const child = (): ChildProcess => service.child;
  const engine: Engine = {
    host,
    root,
    bridge,
    env,
    gantry: (a, options = {}) => run(gantryProgram, a, { ...options, env: { ...env, ...options.env } }),
    docker: (a, options = {}) => run('docker', a, { ...options, env: { ...env, ...options.env } }),
    api: (method, path, body) => callApi(socket, method, path, body),
    pid: () => child().pid ?? 0,
    kill: (signal) => stopProcess(child(), signal),
    async restart(once = []) {
      await stopProcess(child());
      service = await startService([...args, ...once], {}, under);
    },
    output: () => service.output(),
    async [Symbol.asyncDispose]() {
      if (child().exitCode === null && child().signalCode === null) {
        const { body } = await callApi(socket, 'GET', '/containers/json?all=1');
        for (const { Id } of body as { Id: string }[]) await callApi(socket, 'DELETE', `/containers/${Id}?force=1&v=1`);
        await stopProcess(child());
      }
      const left = leftovers(root, bridge);
      rmSync(root, { recursive: true, force: true });
      if (left.length > 0) {
        spawnSync('ip', ['link', 'delete', bridge]);
        throw new Error(`left behind by the engine:\n${left.join('\n')}\n${service.output()}`);
      }
    },
  };
  const imported = await callApi(socket, 'POST', '/images/create?fromSrc=-&repo=busybox&tag=latest', busyboxRootfs());
  if (!/sha256:/.test(imported.text)) throw new Error(`importing busybox failed: ${imported.text}`);
  return engine;
}

function callApi(socketPath: string, method: string, path: string, body?: unknown) {
  return new Promise<{ status: number; body: unknown; text: string }>((done, fail) => {
    const bytes = Buffer.isBuffer(body) ? body : body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = {
      ...(bytes === undefined
        ? {}
        : { 'content-type': Buffer.isBuffer(body) ? 'application/x-tar' : 'application/json' }),
      ...(bytes === undefined ? {} : { 'content-length': bytes.length }),
    };
    const outgoing = request({ socketPath, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        let parsed: unknown;
        try {
          parsed = JSON.parse(text);
        } catch {
          parsed = undefined; // not every answer is one JSON value
        }
        done({ status: response.statusCode ?? 0, body: parsed, text });
      });
    });
    outgoing.once('error', fail);
    outgoing.end(bytes);
  });
}
