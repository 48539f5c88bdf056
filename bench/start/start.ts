// How fast a container starts, against docker, podman, runc, crun and a bare C program. See README.md.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngine } from '../../e2e/harness/engine.ts';
import { busyboxRootfs } from '../../e2e/harness/images.ts';
import { gantryProgram, project } from '../../e2e/harness/program.ts';
import { able, type Contender, measure, print } from '../harness/measure.ts';
import { inNamespace, installed, makeNamespace, podmanCommand, quietly, startDocker } from '../harness/peers.ts';

const rounds = Number(process.argv[2] ?? 20);
const root = mkdtempSync(join(tmpdir(), 'gantry-bench-'));
const namespace = `gantry-bench-${process.pid}`;
const tar = `${root}/busybox.tar`;
writeFileSync(tar, busyboxRootfs());

/** One call of the engine API. */
const api = (socketPath: string, method: string, path: string, body?: object) =>
  new Promise<Record<string, unknown>>((done, fail) => {
    const outgoing = request(
      { socketPath, method, path, headers: { 'content-type': 'application/json' } },
      async (response) => {
        const text = Buffer.concat((await response.toArray()) as Buffer[]).toString('utf8');
        if ((response.statusCode ?? 500) >= 400) fail(new Error(`${method} ${path}: ${text}`));
        else done(text === '' ? {} : JSON.parse(text));
      },
    );
    outgoing.once('error', fail);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });

const overApi = (name: string, socket: string, networkMode: string): Contender => ({
  name,
  async run() {
    const body = { Image: 'busybox', Cmd: ['true'], HostConfig: { NetworkMode: networkMode } };
    const { Id } = await api(socket, 'POST', '/containers/create', body);
    await api(socket, 'POST', `/containers/${Id}/start`);
    await api(socket, 'POST', `/containers/${Id}/wait`);
    await api(socket, 'DELETE', `/containers/${Id}`);
  },
});

async function main(): Promise<void> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(root, { recursive: true, force: true }));
  undo.use(makeNamespace(namespace));
  const engine = undo.use(await startEngine());
  const bridged: Contender[] = [
    {
      name: 'gantry run --rm',
      run: () => quietly(gantryProgram, ['run', '--rm', 'busybox', 'true'], { ...process.env, ...engine.env }),
    },
  ];
  const alone: Contender[] = [
    {
      name: 'gantry run --rm --network none',
      run: () =>
        quietly(gantryProgram, ['run', '--rm', '--network', 'none', 'busybox', 'true'], {
          ...process.env,
          ...engine.env,
        }),
    },
  ];
  const apis: Contender[] = [overApi('gantry', engine.host.slice('unix://'.length), 'bridge')];
  if (installed('dockerd')) {
    const docker = undo.use(await startDocker(`${root}/docker`, namespace));
    await quietly('docker', ['import', tar, 'busybox'], docker.env);
    const run = (...more: string[]) => quietly('docker', ['run', '--rm', ...more, 'busybox', 'true'], docker.env);
    bridged.push({ name: 'docker run --rm', run: () => run() });
    alone.push({ name: 'docker run --rm --network none', run: () => run('--network', 'none') });
    apis.push(overApi('docker', `${root}/docker/docker.sock`, 'bridge'));
  }
  if (installed('podman')) {
    const podman = podmanCommand(`${root}/podman`);
    const command = (...args: string[]) => quietly(...inNamespace(namespace, [...podman.args, ...args]), podman.env);
    await command('import', tar, 'busybox');
    const run = (...more: string[]) => command('run', '--rm', ...more, 'localhost/busybox', 'true');
    bridged.push({ name: 'podman run --rm', run: () => run() });
    alone.push({ name: 'podman run --rm --network none', run: () => run('--network', 'none') });
  }
  print('run --rm of busybox true, on a bridge', await measure(await able(bridged), rounds));
  print('run --rm of busybox true, without a network', await measure(await able(alone), rounds));
  print('create, start, wait and remove over the API, on a bridge', await measure(await able(apis), rounds));
  print('run of one bundle by the runtime alone', await measure(await able(runtimes()), rounds));
}

/** `run` of one OCI bundle, and the floor. */
function runtimes(): readonly Contender[] {
  const bundle = `${root}/bundle`;
  mkdirSync(`${bundle}/rootfs`, { recursive: true });
  execFileSync('tar', ['-C', `${bundle}/rootfs`, '-xf', tar]);
  execFileSync('runc', ['spec'], { cwd: bundle });
  const config = JSON.parse(execFileSync('cat', [`${bundle}/config.json`], { encoding: 'utf8' }));
  config.process.terminal = false;
  config.process.args = ['true'];
  config.process.rlimits = [];
  config.root.readonly = false;
  writeFileSync(`${bundle}/config.json`, JSON.stringify(config));
  let count = 0;
  const run = (program: string, name: string): Contender => ({
    name: `${name} run`,
    run: () => quietly(program, ['--root', `${root}/state-${name}`, 'run', '-b', bundle, `bench${count++}`]),
  });
  const floor = `${root}/floor`;
  execFileSync('cc', ['-O2', '-static', '-o', floor, `${import.meta.dirname}/floor.c`]);
  const renew = () => {
    for (const directory of [`${root}/upper`, `${root}/work`]) {
      rmSync(directory, { recursive: true, force: true });
      mkdirSync(directory);
    }
  };
  renew();
  return [
    run(`${project}/bin/gantry-runtime`, 'gantry-runtime'),
    ...['runc', 'crun'].flatMap((name) => {
      const path = installed(name);
      return path === undefined ? [] : [run(path, name)];
    }),
    {
      name: 'the floor (bare C)',
      run: () => quietly(floor, [`${bundle}/rootfs`, `${root}/upper`, `${root}/work`, '/bin/true']),
      between: async () => renew(), // a volatile overlay mounts once
    },
  ];
}

await main();
