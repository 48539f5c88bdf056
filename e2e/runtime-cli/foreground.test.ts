import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, suite, test } from 'node:test';
import { until } from '../harness/program.ts';
import { openWorkbench, program, reasonToSkip, type Workbench } from './workbench.ts';

suite('gantry-runtime run in the foreground', { skip: reasonToSkip }, () => {
  let bench: Workbench;
  before(() => {
    bench = openWorkbench();
  });
  afterEach(() => {
    bench.clear();
    bench.assertNothingLeft();
  });
  after(() => bench[Symbol.dispose]());

  const start = (id: string): ChildProcess =>
    spawn(program, ['--root', bench.root, 'run', '--bundle', bench.bundle, id], { stdio: ['ignore', 'pipe', 'pipe'] });

  /** A hook of the bundle, by its script. */
  function hook(name: string, script: string): { readonly path: string } {
    const path = `${bench.home}/${name}`;
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return { path };
  }

  /** Runs a script in a container, whose making stops at a hook until it is let go. */
  async function held(id: string, script: string): Promise<{ readonly child: ChildProcess; letGo(): void }> {
    const [reached, go] = [`${bench.home}/${id}-reached`, `${bench.home}/${id}-go`];
    const waits = hook(`${id}-hook`, `: > ${reached}; while [ ! -e ${go} ]; do sleep 0.01; done`);
    bench.configure(script, (config) => {
      config.hooks = { createRuntime: [waits] };
    });
    const child = start(id);
    await until(() => existsSync(reached) || undefined);
    return { child, letGo: () => writeFileSync(go, '') };
  }

  const childrenOf = (pid: number): readonly number[] =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  const commOf = (pid: number) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();

  test('a signal that comes while the container is made reaches its process', async () => {
    const { child, letGo } = await held('gtrf-early', 'trap "exit 6" TERM; while :; do sleep 0.02; done');
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    letGo();
    // Before the trap is set it ends the shell, which is the first of its namespace: there it is ignored. So once more.
    const again = setInterval(() => child.kill('SIGTERM'), 100);
    assert.deepEqual(await exit, [6, null]);
    clearInterval(again);
  });

  test('where the program that decides is killed, what it had begun is undone, and the caller hears how it ended', async () => {
    const { child, letGo } = await held('gtrf-killed', 'while :; do sleep 1000; done');
    const exit = once(child, 'exit');
    const decides = childrenOf(child.pid ?? 0).find(
      (pid) => commOf(pid) === 'gantry-runtime' || commOf(pid) === 'node',
    );
    assert.ok(decides, 'the program runs below what its caller sees');
    process.kill(decides, 'SIGKILL');
    letGo();
    assert.deepEqual(await exit, [null, 'SIGKILL']);
  });

  test('the program that decides is gone while the process runs', async () => {
    bench.configure('echo ready; read line');
    const child = spawn(program, ['--root', bench.root, 'run', '--bundle', bench.bundle, 'gtrf-alone']);
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    await until(() => {
      const living = childrenOf(child.pid ?? 0).filter(
        (pid) => !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')),
      );
      return living.length === 1 || undefined;
    });
    assert.equal(bench.state('gtrf-alone').status, 'running');
    child.stdin.end('\n');
    assert.deepEqual(await exit, [0, null]);
  });

  test('cgroups that the container has made in its own go with it', () => {
    bench.configure(
      'for d in /sys/fs/cgroup /sys/fs/cgroup/*; do /bin/busybox mkdir -p $d/gtrf-below/again 2>/dev/null && echo made; done; exit 5',
      (config) => {
        config.mounts = (config.mounts ?? []).map((mount) =>
          mount.type === 'cgroup' ? { ...mount, options: ['nosuid', 'noexec', 'nodev', 'rw'] } : mount,
        );
      },
    );
    const { status, stdout, stderr } = bench.runtime('run', '--bundle', bench.bundle, 'gtrf-nested');
    assert.deepEqual([status, stderr], [5, '']);
    assert.match(stdout, /made/);
  });

  test('processes that outlive the first one, without a pid namespace, are ended', () => {
    bench.configure('sleep 1000 & echo $!; exit 3', (config) => {
      config.linux = {
        ...config.linux,
        namespaces: (config.linux?.namespaces ?? []).filter(({ type }) => type !== 'pid'),
      };
    });
    const { status, stdout } = bench.runtime('run', '--bundle', bench.bundle, 'gtrf-rest');
    assert.equal(status, 3);
    const pid = Number(stdout);
    assert.ok(!existsSync(`/proc/${pid}`) || /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')));
  });

  test('hooks: poststart runs before run waits, one that fails ends the container, poststop runs when it is gone', () => {
    const log = `${bench.home}/hooks`;
    const note = (name: string) => hook(name, `cat > /dev/null; echo ${name} >> ${log}`);
    bench.configure(`exit 4`, (config) => {
      config.hooks = { poststart: [note('poststart')], poststop: [note('poststop')] };
    });
    assert.equal(bench.runtime('run', '--bundle', bench.bundle, 'gtrf-hooks').status, 4);
    assert.equal(readFileSync(log, 'utf8'), 'poststart\npoststop\n');
    bench.configure('while :; do sleep 1000; done', (config) => {
      config.hooks = { poststart: [hook('fails', 'echo no >&2; exit 1')], poststop: [note('poststop')] };
    });
    bench.refuse(/poststart hook \S+fails: it ended with 1: no/, 'run', '--bundle', bench.bundle, 'gtrf-hooks');
    assert.equal(readFileSync(log, 'utf8'), 'poststart\npoststop\npoststop\n');
    bench.configure('exit 4', (config) => {
      config.hooks = { poststop: [hook('fails', 'echo no >&2; exit 1'), note('poststop')] };
    });
    const { status, stderr } = bench.runtime('run', '--bundle', bench.bundle, 'gtrf-hooks');
    assert.equal(status, 4);
    assert.match(stderr, /poststop hook \S+fails: it ended with 1: no/);
    assert.equal(readFileSync(log, 'utf8'), 'poststart\npoststop\npoststop\npoststop\n');
    assert.deepEqual(readdirSync(bench.root), []);
  });
});
