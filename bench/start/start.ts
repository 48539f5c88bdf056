// How fast a container starts and what it costs, against docker, podman, runc, crun and a bare C program. See README.md.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { startEngine } from '../../e2e/harness/engine.ts';
import { busyboxRootfs } from '../../e2e/harness/images.ts';
import { project } from '../../e2e/harness/program.ts';
import { able, type Contender, measure, print } from '../harness/measure.ts';
import { installed, makeNamespace, quietly } from '../harness/peers.ts';
import { api, gantryPeer, type Peer, peers } from './engines.ts';
import { processes, pssOf } from './memory.ts';

const rounds = Number(process.argv[2] ?? 20);
/** The tables that are asked for, by their letters; all where none is named. */
const tables = process.argv[3] ?? 'abcdef';
const settleMs = 150;
const root = mkdtempSync(join(tmpdir(), 'gantry-bench-'));
const namespace = `gantry-bench-${process.pid}`;
const tar = `${root}/busybox.tar`;
writeFileSync(tar, busyboxRootfs());

const show = async (title: string, contenders: readonly Contender[]) =>
  print(title, await measure(await able(contenders), rounds, { settleMs }));

async function main(): Promise<void> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(root, { recursive: true, force: true }));
  undo.use(makeNamespace(namespace));
  const ours = gantryPeer(undo.use(await startEngine()));
  const all = [ours, ...(await peers(root, namespace, tar, undo))];
  const run = (...more: readonly string[]): readonly Contender[] =>
    all.map(({ name, command, image }) => ({
      name: `${name} run --rm ${more.join(' ')}`,
      run: () => command('run', '--rm', ...more, image, 'true'),
    }));
  const asked = (letter: string) => tables.includes(letter);
  if (asked('a')) {
    await show('(a) run --rm of busybox true, on a bridge', run());
    await show('(a) run --rm of busybox true, without a network', run('--network', 'none'));
  }
  if (asked('b'))
    await show('(b) create, start, wait and remove over the API, on a bridge', [
      ...all.flatMap((peer) => overApi(peer)),
      ...floor('the floor (g)'),
    ]);
  if (asked('c')) await show('(c) run of one bundle by the runtime alone', [...runtimes(), ...floor('the floor (g)')]);
  if (asked('d')) {
    await show('(d) exec of true in a running container', await execs(all));
    for (const { command } of all) await command('rm', '-f', 'idle');
  }
  if (asked('e')) for (const peer of all) await rate(peer);
  if (asked('f')) for (const peer of all) await memory(peer);
}

function overApi({ name, socket, image }: Peer): readonly Contender[] {
  if (socket === undefined) return [];
  const run = async () => {
    const { Id } = await api(socket, 'POST', '/containers/create', { Image: image, Cmd: ['true'] });
    await api(socket, 'POST', `/containers/${Id}/start`);
    await api(socket, 'POST', `/containers/${Id}/wait`);
    await api(socket, 'DELETE', `/containers/${Id}`);
  };
  return [{ name, run }];
}

/** The system calls no start can do without, by a program in C that does nothing else. */
function floor(name: string): readonly Contender[] {
  const program = `${root}/floor`;
  execFileSync('cc', ['-O2', '-static', '-o', program, `${import.meta.dirname}/floor.c`]);
  unpacked();
  const renew = () => {
    for (const directory of [`${root}/upper`, `${root}/work`]) {
      rmSync(directory, { recursive: true, force: true });
      mkdirSync(directory);
    }
  };
  renew();
  const args = [`${root}/bundle/rootfs`, `${root}/upper`, `${root}/work`, '/bin/true'];
  // A volatile overlay mounts once.
  return [{ name, run: () => quietly(program, args), between: async () => renew() }];
}

function unpacked(): string {
  const bundle = `${root}/bundle`;
  mkdirSync(`${bundle}/rootfs/proc`, { recursive: true });
  execFileSync('tar', ['-C', `${bundle}/rootfs`, '-xf', tar]);
  return bundle;
}

/** `run` of one OCI bundle, whose config `gantry-runtime spec` made. */
function runtimes(): readonly Contender[] {
  const bundle = unpacked();
  rmSync(`${bundle}/config.json`, { force: true });
  execFileSync(`${project}/bin/gantry-runtime`, ['spec'], { cwd: bundle });
  const config = JSON.parse(readFileSync(`${bundle}/config.json`, 'utf8'));
  Object.assign(config.process, { terminal: false, args: ['true'], rlimits: [] });
  config.ociVersion = '1.0.2';
  writeFileSync(`${bundle}/config.json`, JSON.stringify(config));
  let count = 0;
  const run = (program: string, name: string): Contender => ({
    name: `${name} run`,
    run: () => quietly(program, ['--root', `${root}/state-${name}`, 'run', '-b', bundle, `bench${count++}`]),
  });
  return [
    run(`${project}/bin/gantry-runtime`, 'gantry-runtime'),
    ...['runc', 'crun'].flatMap((name) => {
      const path = installed(name);
      return path === undefined ? [] : [run(path, name)];
    }),
  ];
}

async function execs(all: readonly Peer[]): Promise<readonly Contender[]> {
  for (const { command, image } of all)
    await command('run', '-d', '--name', 'idle', '--network', 'none', image, 'sleep', '1000');
  return all.map(({ name, command }) => ({ name: `${name} exec`, run: () => command('exec', 'idle', 'true') }));
}

/** (e) 100 containers started, 16 in flight. */
async function rate({ name, socket, image }: Peer): Promise<void> {
  if (socket === undefined) return;
  const ids: string[] = [];
  let next = 0;
  const began = performance.now();
  const worker = async () => {
    while (next++ < 100) {
      const { Id } = await api(socket, 'POST', '/containers/create', { Image: image, Cmd: ['sleep', '1000'] });
      await api(socket, 'POST', `/containers/${Id}/start`);
      ids.push(String(Id));
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `\n(e) ${name}: 100 containers started, 16 in flight: ${seconds.toFixed(2)} s, ${(100 / seconds).toFixed(1)}/s`,
  );
  for (const id of ids) await api(socket, 'DELETE', `/containers/${id}?force=1`);
}

/** (f) What an idle container costs beside its own process, and the engine itself, in PSS. */
async function memory({ name, command, image, daemonPids, keeps }: Peer): Promise<void> {
  const containers = 10;
  const before = new Set(processes().keys());
  for (let i = 0; i < containers; i++)
    await command('run', '-d', '--init', '--network', 'none', '--name', `cost${i}`, image, 'sleep', '1000');
  await setTimeout(8_000); // idle is meant
  let kilobytes = 0;
  for (const [pid, line] of processes()) if (!before.has(pid) && keeps.test(line)) kilobytes += pssOf(pid);
  const daemon = daemonPids().reduce((sum, pid) => sum + pssOf(pid), 0);
  console.log(
    `(f) ${name}: ${(kilobytes / containers / 1024).toFixed(2)} MB for each idle container, ${(daemon / 1024).toFixed(1)} MB for the engine`,
  );
  for (let i = 0; i < containers; i++) await command('rm', '-f', `cost${i}`);
}

await main();
