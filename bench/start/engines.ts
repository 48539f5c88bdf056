import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import type { Engine } from '../../e2e/harness/engine.ts';
import { gantryProgram } from '../../e2e/harness/program.ts';
import { inNamespace, installed, podmanCommand, quietly, startDocker } from '../harness/peers.ts';

/** One engine of the bench, with the image `busybox` loaded. */
export interface Peer {
  readonly name: string;
  /** Its command line, run to the end. @throws Error where it fails */
  command(...args: readonly string[]): Promise<void>;
  /** The unix socket of its Docker API; absent where it has none. */
  readonly socket?: string;
  readonly image: string;
  /** Processes that are the engine itself. */
  daemonPids(): readonly number[];
  /** Command lines of what it keeps for each container beside the container's own process. */
  readonly keeps: RegExp;
}

const pidsOf = (pattern: string): readonly number[] =>
  spawnSync('pgrep', ['-f', pattern], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean).map(Number);

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
const sparesOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('gantry-standby') ? childrenOf(pid) : [];

export const gantryPeer = (engine: Engine): Peer => ({
  name: 'gantry',
  command: (...args) => quietly(gantryProgram, args, { ...process.env, ...engine.env }),
  socket: engine.host.slice('unix://'.length),
  image: 'busybox',
  // With its spawner of shims, its standby, and whatever spares that one has.
  daemonPids: () => [engine.pid(), ...childrenOf(engine.pid()).flatMap((pid) => [pid, ...sparesOf(pid)])],
  keeps: /gantry-shim|^\/dev\/init/,
});

/** Debian's docker and podman where they are installed, in a network namespace of their own. */
export async function peers(
  root: string,
  namespace: string,
  tar: string,
  undo: AsyncDisposableStack,
): Promise<readonly Peer[]> {
  const found: Peer[] = [];
  if (installed('dockerd')) {
    const docker = undo.use(await startDocker(`${root}/docker`, namespace));
    await quietly('docker', ['import', tar, 'busybox'], docker.env);
    found.push({
      name: 'docker',
      command: (...args) => quietly('docker', args, docker.env),
      socket: `${root}/docker/docker.sock`,
      image: 'busybox',
      daemonPids: () => pidsOf(`^(dockerd|containerd) .*${root}/docker/`),
      keeps: /containerd-shim|docker-init/,
    });
  }
  if (installed('podman')) {
    const podman = podmanCommand(`${root}/podman`);
    const command = (...args: readonly string[]) =>
      quietly(...inNamespace(namespace, [...podman.args, ...args]), podman.env);
    // podman mounts its store over itself, and leaves it so.
    undo.defer(() => void spawnSync('umount', ['-l', `${root}/podman/root/overlay`]));
    await command('import', tar, 'busybox');
    found.push({
      name: 'podman',
      command,
      image: 'localhost/busybox',
      daemonPids: () => [],
      keeps: /conmon|catatonit/,
    });
  }
  return found;
}

/** One call of a Docker Engine API. @throws Error with the answer, where it is none of 2xx or 3xx */
export const api = (socketPath: string, method: string, path: string, body?: object) =>
  new Promise<Record<string, unknown>>((done, fail) => {
    const headers = { 'content-type': 'application/json' };
    const outgoing = request({ socketPath, method, path, headers }, async (response) => {
      const text = Buffer.concat((await response.toArray()) as Buffer[]).toString('utf8');
      if ((response.statusCode ?? 500) >= 400) fail(new Error(`${method} ${path}: ${text}`));
      else done(text === '' ? {} : JSON.parse(text));
    });
    outgoing.once('error', fail);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
