import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isGantryError } from '#errors/index.ts';
import type { Mount, Process, RuntimeSpec } from '#oci/index.ts';
import { type CreateTask, createOciCliRuntime, type Task, type TaskStdio } from '#runtime/index.ts';
import { reasonToSkip } from '../harness/oci-runtimes.ts';

const busybox = '/bin/busybox';
const shimPath = fileURLToPath(new URL('../../build/gantry-shim', import.meta.url));

const capabilities = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID'];
const processOf = (script: string): Process => ({
  user: { uid: 0, gid: 0 },
  args: ['sh', '-c', script],
  env: ['PATH=/bin'],
  cwd: '/',
  capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
});

const specOf = (id: string, process: Process, linux: RuntimeSpec['linux'] = {}): RuntimeSpec => ({
  ociVersion: '1.0.2',
  process,
  root: { path: 'rootfs' },
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666'],
    },
  ],
  linux: {
    namespaces: [{ type: 'pid' }, { type: 'mount' }, { type: 'ipc' }, { type: 'uts' }, { type: 'network' }],
    cgroupsPath: `gantry-test/${id}`,
    ...linux,
  },
});

async function outputOf(task: Task): Promise<() => Promise<string>> {
  const io = await task.attach();
  const read = (async () => {
    let text = '';
    for await (const { data } of io.output) text += data;
    return text;
  })();
  return async () => {
    const text = await read;
    await io[Symbol.asyncDispose]();
    return text;
  };
}

const plain: TaskStdio = { terminal: false, stdin: false };

for (const [name, path] of [
  ['runc', '/usr/sbin/runc'],
  ['crun', '/usr/bin/crun'],
] as const)
  suite(name, { skip: reasonToSkip(path) }, () => {
    let home: string;
    let runtime: ReturnType<typeof createOciCliRuntime>;
    const stateRoot = () => `${home}/state`;
    const directoryOf = (id: string) => `${home}/tasks/${id}`;

    before(() => {
      home = mkdtempSync('/tmp/gantry-oci-');
      mkdirSync(`${home}/lower/bin`, { recursive: true });
      copyFileSync(busybox, `${home}/lower/bin/busybox`);
      for (const applet of ['sh', 'sleep', 'cat', 'stty', 'id', 'tail', 'grep', 'touch', 'kill'])
        symlinkSync('busybox', `${home}/lower/bin/${applet}`);
      for (const directory of ['proc', 'dev', 'sys', 'tmp']) mkdirSync(`${home}/lower/${directory}`);
      runtime = createOciCliRuntime({ name, path, shimPath, stateRoot: stateRoot() });
    });
    after(() => rmSync(home, { recursive: true, force: true }));

    function rootfs(id: string): readonly Mount[] {
      const [upper, work] = ['upper', 'work'].map((layer) => `${home}/${layer}-${id}`);
      for (const layer of [upper, work]) if (layer !== undefined) mkdirSync(layer);
      const options = [`lowerdir=${home}/lower`, `upperdir=${upper}`, `workdir=${work}`];
      return [{ destination: '/', type: 'overlay', source: 'overlay', options }];
    }

    async function create(script: string, more: Partial<CreateTask> & { readonly linux?: RuntimeSpec['linux'] } = {}) {
      const id = `gt${randomBytes(6).toString('hex')}`;
      const { linux, ...request } = more;
      return await runtime.create({
        id,
        directory: directoryOf(id),
        spec: specOf(id, processOf(script), linux),
        rootfs: rootfs(id),
        stdio: plain,
        init: false,
        ...request,
      });
    }

    /** Nothing on the host says that the container was ever there. */
    function assertGone(task: Task): void {
      assert.deepEqual(
        readdirSync(stateRoot()).filter((entry) => entry.startsWith(task.id)),
        [],
      );
      // What other tests remove meanwhile is no concern of this one.
      assert.equal(spawnSync('find', ['/sys/fs/cgroup', '-name', `*${task.id}*`], { encoding: 'utf8' }).stdout, '');
      assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(task.id));
    }

    test('runs on an overlay that the host never sees, and gives its output and exit code', async () => {
      const task = await create('echo out; echo err >&2; touch /made; exit 7');
      assert.ok(task.pid > 1);
      assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(task.id));
      const output = await outputOf(task);
      await task.start();
      const { code, oom } = await task.wait();
      assert.deepEqual({ code, oom }, { code: 7, oom: false });
      assert.deepEqual((await output()).split('\n').sort(), ['', 'err', 'out']);
      assert.ok(existsSync(`${home}/upper-${task.id}/made`));
      await task.delete();
      assertGone(task);
    });

    test('a terminal with its size', async () => {
      const task = await create('stty size; read line; echo "got $line"; stty size', {
        stdio: { terminal: true, stdin: true, size: { rows: 11, columns: 22 } },
      });
      const io = await task.attach();
      await task.start();
      await task.resize({ rows: 33, columns: 44 });
      io.stdin.write('hello\n');
      let text = '';
      for await (const { data } of io.output) text += data;
      assert.match(text, /got hello\r\n33 44/);
      await io[Symbol.asyncDispose]();
      await task.delete();
      assertGone(task);
    });

    test('stdin, and its end', async () => {
      const task = await create('cat', { stdio: { terminal: false, stdin: true, stdinOnce: true } });
      const io = await task.attach();
      await task.start();
      io.stdin.end('all of it\n');
      let text = '';
      for await (const { data } of io.output) text += data;
      assert.equal(text, 'all of it\n');
      assert.equal((await task.wait()).code, 0);
      await io[Symbol.asyncDispose]();
      await task.delete();
    });

    test('exec, signals, pause and what the cgroup says', async () => {
      const task = await create('trap "exit 5" TERM; while :; do sleep 0.05; done', {
        linux: {
          cgroupsPath: 'gantry-test/limits',
          namespaces: specOf('', processOf('')).linux?.namespaces ?? [],
          resources: { memory: { limit: 64 << 20 }, pids: { limit: 20 } },
        },
      });
      await task.start();
      const stats = await task.stats();
      assert.equal(stats.memory.usage.limit, 64 << 20);
      assert.equal(stats.pids.limit, 20);
      assert.ok((await task.pids()).includes(task.pid));
      const exec = await task.exec({
        id: 'exec',
        directory: `${directoryOf(task.id)}/execs/${'e'.repeat(64)}`,
        process: processOf('echo inside; exit 3'),
        stdio: plain,
      });
      const output = await outputOf(exec);
      await exec.start();
      assert.equal((await exec.wait()).code, 3);
      assert.equal(await output(), 'inside\n');
      await exec.delete();

      const missing = await task.exec({
        id: 'missing',
        directory: `${directoryOf(task.id)}/execs/missing`,
        process: { ...processOf(''), args: ['no-such-command'] },
        stdio: plain,
      });
      await assert.rejects(missing.start(), (error) => isGantryError(error) && error.code === 'command-not-found');
      assert.equal((await missing.wait()).code, 127);
      await missing.delete();

      await task.pause();
      await task.resume();
      await assert.rejects(task.delete(), (error) => isGantryError(error, 'conflict'));
      await task.kill(15);
      assert.equal((await task.wait()).code, 5);
      await task.delete();
      assertGone(task);
    });

    test('memory beyond the limit is an out-of-memory exit', async () => {
      const task = await create('exec tail /dev/zero', {
        linux: {
          ...specOf('', processOf('')).linux,
          cgroupsPath: 'gantry-test/oom',
          resources: { memory: { limit: 16 << 20 } },
        },
      });
      await task.start();
      const { code, signal, oom } = await task.wait();
      assert.deepEqual({ code, signal, oom }, { code: 137, signal: 9, oom: true });
      await task.delete();
    });

    test('a command that is not there, or cannot be run, says so and leaves nothing', async () => {
      for (const [command, code] of [
        ['no-such-command', 'command-not-found'],
        ['/no/such/command', 'command-not-found'],
        ['/tmp', 'command-not-executable'],
      ] as const) {
        const id = `gt${randomBytes(6).toString('hex')}`;
        const spec = specOf(id, { ...processOf(''), args: [command] });
        const attempt = async () => {
          const task = await create('', { id, directory: directoryOf(id), spec, rootfs: rootfs(id) });
          await task.start();
        };
        await assert.rejects(attempt(), (error) => isGantryError(error) && error.code === code, command);
        await runtime.cleanup(id, directoryOf(id));
        assert.deepEqual(readdirSync(stateRoot()), []);
      }
    });

    test('another engine finds the task again, with its init as PID 1', async () => {
      const task = await create('cat /proc/1/comm; exec sleep 1000', { init: true });
      const io = await task.attach();
      await task.start();
      for await (const { data } of io.output) {
        assert.equal(String(data), 'init\n');
        break;
      }
      await io[Symbol.asyncDispose]();
      const later = createOciCliRuntime({ name, path, shimPath, stateRoot: stateRoot() });
      const found = await later.load(task.id, directoryOf(task.id));
      assert.equal(found?.pid, task.pid);
      await found?.kill(9, { all: true });
      assert.equal((await found?.wait())?.code, 137);
      await later.cleanup(task.id, directoryOf(task.id));
      await task.delete();
      await found?.delete();
      assertGone(task);
    });

    test('what only our own runtime can do is refused by name', async () => {
      const id = 'gtshared';
      const spec = specOf(id, processOf(''));
      const shared = { destination: '/tmp', type: 'bind', source: '/tmp', options: ['rbind', 'rshared'] };
      await assert.rejects(
        create('', { id, directory: directoryOf(id), spec: { ...spec, mounts: [shared] }, rootfs: rootfs(id) }),
        (error) => isGantryError(error, 'unsupported') && error.message.includes('/tmp'),
      );
      assert.ok(!existsSync(directoryOf(id)));
    });
  });
