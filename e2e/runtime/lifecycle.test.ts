import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createLauncherRuntime } from '#runtime/index.ts';
import { finish, outputUntil, Workbench } from './workbench.ts';

const native = (name: string) => fileURLToPath(new URL(`../../build/${name}`, import.meta.url));
const freshRuntime = () => createLauncherRuntime({ shimPath: native('gantry-shim'), initPath: native('gantry-init') });

test('a created task waits before exec and can be ended without a start', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['echo', 'never']);
  assert.match(readFileSync(`/proc/${task.pid}/comm`, 'utf8'), /^gantry-shim/);
  await assert.rejects(task.delete(), { kind: 'conflict', code: 'running' });
  await task.kill(9);
  assert.equal((await task.wait()).code, 137);
  await task.delete();
});

test('exec joins the container: its processes, its root, its limits; and has a status of its own', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['sleep', '60']);
  await task.start();
  const execute = (args: readonly string[], atOnce: boolean, wish = {}, stdio = {}) =>
    task.exec({
      id: 'e',
      directory: bench.taskDirectory(`e-${Math.random()}`),
      process: bench.process(args, wish),
      stdio: { terminal: false, stdin: false, ...stdio },
      atOnce,
    });
  const script =
    'hostname; cat /proc/1/cmdline | tr "\\0" " "; echo; grep Seccomp: /proc/self/status; for n in mnt pid net ipc uts cgroup; do [ "$(readlink /proc/self/ns/$n)" = "$(readlink /proc/1/ns/$n)" ] || echo "$n differs"; done; exit 4';
  for (const atOnce of [false, true]) {
    const exec = (args: readonly string[], wish = {}, stdio = {}) => execute(args, atOnce, wish, stdio);
    assert.deepEqual(await finish(await exec(['sh', '-c', script])), {
      code: 4,
      stdout: 'inside\nsleep 60 \nSeccomp:\t2\n',
      stderr: '',
    });
    const missing = await exec(['nope']);
    await assert.rejects(missing.start(), { code: 'command-not-found' });
    assert.equal((await missing.wait()).code, 127);
    await assert.rejects(exec(['true'], { cwd: '/not/there' }), { message: /working directory \(\/not\/there\)/ });
    const size = { rows: 10, columns: 20 };
    const terminal = await exec(['sh', '-c', 'tty; stty size'], {}, { terminal: true, size });
    assert.equal((await finish(terminal)).stdout, '/dev/pts/0\r\n10 20\r\n');
    // What an exec leaves behind keeps its pipes open, and does not hold its status up.
    const left = await exec(['sh', '-c', 'echo said; sleep 30 & echo $! >&2; exit 0']);
    const { stderr, ...rest } = await finish(left);
    assert.deepEqual(rest, { code: 0, stdout: 'said\n' });
    await finish(await exec(['kill', '-9', stderr.trim()]));
  }
  await task.kill(9);
  await task.wait();
  await assert.rejects(execute(['true'], true), { kind: 'conflict', code: 'not-running' });
});

test('an exec that is started at once has all of its output, takes its stdin, and goes on without its client', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['sleep', '60']);
  await task.start();
  const exec = async (script: string, stallMilliseconds = 300_000) => {
    const made = await task.exec({
      id: 'e',
      directory: bench.taskDirectory(`e-${Math.random()}`),
      process: bench.process(['sh', '-c', script]),
      stdio: { terminal: false, stdin: true, stdinOnce: true, stallMilliseconds },
      atOnce: true,
    });
    return { made, io: await made.attach() };
  };
  // More than is held here for a reader that is slow.
  const much = await exec('head -c 5000000 /dev/zero; wc -c >&2; exit 5');
  await much.made.start();
  const took = { stdout: 0, stderr: '' };
  much.io.stdin.end('x'.repeat(200_000));
  for await (const { stream, data } of much.io.output)
    if (stream === 'stdout') took.stdout += data.length;
    else took.stderr += data.toString();
  assert.deepEqual(took, { stdout: 5_000_000, stderr: '200000\n' });
  assert.equal((await much.made.wait()).code, 5);
  // A reader that takes nothing keeps nobody from the exit, and has what there is when he comes; or is given up.
  const late = await exec('head -c 1300000 /dev/zero; exit 3');
  await late.made.start();
  assert.equal((await late.made.wait()).code, 3);
  await late.made.delete();
  let bytes = 0;
  for await (const { data } of late.io.output) bytes += data.length;
  assert.equal(bytes, 1_300_000);
  await late.io[Symbol.asyncDispose]();
  const givenUp = await exec('head -c 9000000 /dev/zero; exit 4', 100);
  await givenUp.made.start();
  assert.equal((await givenUp.made.wait()).code, 4);
  await givenUp.io[Symbol.asyncDispose]();
  const alone = await exec('yes | head -c 5000000; cat; exit 6');
  await alone.made.start();
  await alone.io[Symbol.asyncDispose]();
  // Nobody reads and nobody writes any more: its stdin stays open until it is ended.
  await alone.made.kill(15);
  assert.equal((await alone.made.wait()).code, 143);
  await task.kill(9);
  await task.wait();
});

test('init reaps orphans, forwards signals and keeps the command’s code', async () => {
  await using bench = new Workbench();
  const script =
    'cat /proc/1/cmdline | tr "\\0" " "; echo; (sleep 0.01 &) ; sleep 0.3; ps -o stat,comm | grep -c "^Z"; trap "echo told; exit 6" TERM; echo ready; while :; do sleep 0.05; done';
  const task = await bench.create(['sh', '-c', script], { init: true });
  const io = await task.attach();
  const output = io.output[Symbol.asyncIterator]();
  await task.start();
  const seen = await outputUntil(output, 'ready\n');
  assert.match(seen, /^\/dev\/init sh -c /);
  assert.match(seen, /\n0\nready\n$/);
  await task.kill(15);
  await outputUntil(output, 'told\n');
  assert.equal((await task.wait()).code, 6);
  await io[Symbol.asyncDispose]();
  const killed = await bench.run(['sh', '-c', 'kill -9 $$'], { init: true });
  assert.equal(killed.code, 137);
  const refused = await bench.run(['sh', '-c', 'echo x > /dev/init; echo x > /proc/1/exe'], { init: true });
  assert.match(
    refused.stderr,
    /(?:Read-only file system|Text file busy)[\s\S]*(?:Read-only file system|Text file busy|Permission denied)/,
  );
});

test('init gives the command the terminal', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['sh', '-c', 'trap "exit 8" INT; echo ready; while :; do sleep 0.05; done'], {
    init: true,
    stdio: { terminal: true, stdin: true },
  });
  const io = await task.attach();
  await task.start();
  await outputUntil(io.output[Symbol.asyncIterator](), 'ready');
  io.stdin.write('\x03');
  assert.equal((await task.wait()).code, 8);
  await io[Symbol.asyncDispose]();
});

test('pause stops it, resume lets it go on; kill all reaches every process; stats count', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['sh', '-c', 'sleep 60 & while :; do echo tick; sleep 0.02; done']);
  const io = await task.attach();
  const output = io.output[Symbol.asyncIterator]();
  await task.start();
  await outputUntil(output, 'tick');
  await task.pause();
  const used = (await task.stats()).cpu.usage.total;
  const stats = await task.stats();
  assert.equal(stats.cpu.usage.total, used);
  assert.ok(Number(stats.pids.current) >= 2 && Number(stats.memory.usage.usage) > 0);
  await task.resume();
  await outputUntil(output, 'tick');
  assert.ok((await task.pids()).length >= 2);
  await task.kill(9, { all: true });
  assert.equal((await task.wait()).code, 137);
  await io[Symbol.asyncDispose]();
});

test('an aborted create leaves nothing; an aborted wait is only that', async () => {
  await using bench = new Workbench();
  const id = 'aborted';
  const request = {
    id,
    directory: bench.taskDirectory(id),
    spec: bench.spec(id, ['true']),
    rootfs: [{ destination: '/', type: 'bind', source: bench.rootfs, options: ['rbind'] }],
    init: false,
    stdio: { terminal: false, stdin: false },
  };
  const abort = new AbortController();
  const creating = bench.runtime.create(request, { signal: abort.signal });
  abort.abort();
  await assert.rejects(creating, { kind: 'cancelled' });
  assert.ok(!existsSync(request.directory));
  const task = await bench.create(['sleep', '60']);
  await task.start();
  await assert.rejects(task.wait({ signal: AbortSignal.timeout(10) }), { kind: 'cancelled' });
  await task.kill(9);
  assert.equal((await task.wait()).code, 137);
});

async function dyingEngine(bench: Workbench, id: string, ...more: readonly string[]) {
  const log = `${bench.directory}/${id}.log`;
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('engine-that-dies.ts', import.meta.url)),
      id,
      bench.taskDirectory(id),
      bench.cgroup(id),
      bench.rootfs,
      log,
      ...more,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const output = (async function* () {
    for await (const data of child.stdout) yield { data: data as Buffer };
  })();
  const said = await outputUntil(output, more.includes('--start') ? /\n[\s\S]*begun\n/ : /\n/);
  const [, scratch = '', pid = ''] = /^(\S+) (\d+)\n/.exec(said) ?? [];
  child.kill('SIGKILL');
  await once(child, 'exit');
  rmSync(scratch, { recursive: true });
  return { log, pid: Number(pid) };
}

test('a container outlives a killed engine; the next one finds it, its log is whole', async () => {
  await using bench = new Workbench();
  const { log, pid } = await dyingEngine(bench, 'survivor', '--start');
  const runtime = freshRuntime();
  const directory = bench.taskDirectory('survivor');
  const task = await runtime.load('survivor', directory);
  assert.ok(task);
  assert.equal(task.pid, pid);
  assert.equal(readFileSync(`/proc/${pid}/comm`, 'utf8'), 'sh\n');
  const exec = await task.exec({
    id: 'e',
    directory: bench.taskDirectory('e'),
    process: bench.process(['touch', '/go']),
    stdio: { terminal: false, stdin: false },
  });
  assert.equal((await finish(exec)).code, 0);
  assert.equal((await task.wait()).code, 9);
  assert.match(readFileSync(log, 'utf8'), /begun[\s\S]*ended/);
  await task.delete();
  assert.equal(await runtime.load('survivor', directory), undefined);
});

test('what ends while no engine runs leaves its status on disk, and cleanup removes the rest', async () => {
  await using bench = new Workbench();
  const { pid } = await dyingEngine(bench, 'ends', '--start');
  const directory = bench.taskDirectory('ends');
  writeFileSync(`${bench.rootfs}/go`, '');
  while (existsSync(`${directory}/shim.sock`)) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(!existsSync(`/proc/${pid}`));
  const runtime = freshRuntime();
  assert.equal(await runtime.load('ends', directory), undefined);
  const exit = JSON.parse(readFileSync(`${directory}/exit.json`, 'utf8'));
  assert.deepEqual([exit.code, exit.signal, exit.oom], [9, 0, false]);
  await runtime.cleanup('ends', directory);
  await runtime.cleanup('ends', directory);
  assert.ok(existsSync(`${directory}/exit.json`));
});

test('a task that was never started ends with the engine that created it', async () => {
  await using bench = new Workbench();
  const { pid } = await dyingEngine(bench, 'unstarted');
  const directory = bench.taskDirectory('unstarted');
  while (existsSync(`/proc/${pid}`)) await new Promise((resolve) => setTimeout(resolve, 5));
  await freshRuntime().cleanup('unstarted', directory);
});
