import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after, afterEach, before, suite, test } from 'node:test';
import { openWorkbench, program, reasonToSkip, type Workbench } from './workbench.ts';

/** Another than the distribution's may be named: what it can do depends on the kernel. */
const criu = process.env.GANTRY_TEST_CRIU ?? 'criu';
const check = spawnSync(criu, ['check'], { encoding: 'utf8' });
const checkComplaint = `${check.stdout ?? ''}${check.stderr ?? ''}`.trim().split('\n')[0] ?? '';
const unfit = check.error !== undefined ? 'criu is not installed' : check.status === 0 ? false : checkComplaint;

suite('gantry-runtime checkpoint and restore', { skip: reasonToSkip }, () => {
  let bench: Workbench;
  let images: string;
  before(() => {
    bench = openWorkbench();
    images = `${bench.home}/images`;
    mkdirSync(`${bench.bundle}/rootfs/tmp`); // criu moves the root by it
  });
  /** Process groups that a test began. */
  const groups: number[] = [];
  afterEach(() => {
    bench.clear();
    for (const group of groups.splice(0)) process.kill(-group, 'SIGKILL');
    bench.assertNothingLeft();
  });
  after(() => bench[Symbol.dispose]());

  const count = 'i=0; while :; do i=$((i+1)); echo $i; echo $i > /dev/shm/count; read -t 0.02 x <&9; done';
  const counting = `busybox mkfifo /dev/shm/fifo; exec 9<>/dev/shm/fifo; ${count}`;
  const withCriu = (...words: readonly string[]) => bench.succeed('--criu', criu, ...words);
  const counted = (id: string) => Number(bench.succeed('exec', id, 'cat', '/dev/shm/count'));

  /** A container that counts in memory and on its tmpfs, with a directory and a file of the host. */
  function start(id: string): void {
    mkdirSync(`${bench.home}/shared`, { recursive: true });
    writeFileSync(`${bench.home}/shared/file`, 'of the host\n');
    bench.configure(counting.replace('echo $i;', ''), (config) => {
      const bind = { type: 'bind', options: ['rbind', 'ro'] };
      config.mounts = [
        ...(config.mounts ?? []),
        { ...bind, destination: '/mnt/shared', source: `${bench.home}/shared` },
        { ...bind, destination: '/mnt/file', source: `${bench.home}/shared/file` },
      ];
    });
    bench.succeed('run', '--detach', '--bundle', bench.bundle, id);
  }

  test('a container goes on where it was, under another id and in another cgroup', { skip: unfit }, () => {
    start('gtck-a');
    const own = JSON.parse(readFileSync(`${bench.root}/gtck-a/state.json`, 'utf8')) as { cgroup: string[] };
    withCriu('checkpoint', '--image-path', images, 'gtck-a');
    bench.refuse(/gtck-a does not exist/, 'state', 'gtck-a');
    const config = JSON.parse(readFileSync(`${bench.bundle}/config.json`, 'utf8')) as {
      linux: { cgroupsPath: string };
    };
    config.linux.cgroupsPath += '-again';
    writeFileSync(`${bench.bundle}/config.json`, JSON.stringify(config));
    const pidFile = `${bench.home}/restored`;
    const restore = ['restore', '--detach', '--bundle', bench.bundle, '--image-path', images, '--pid-file', pidFile];
    withCriu(...restore, 'gtck-b');
    const { status, pid } = bench.state('gtck-b');
    assert.deepEqual([status, String(pid)], ['running', readFileSync(pidFile, 'utf8')]);
    const before = counted('gtck-b');
    assert.ok(before > 0);
    while (counted('gtck-b') === before);
    assert.match(
      bench.succeed('exec', 'gtck-b', 'cat', '/mnt/file', '/mnt/shared/file'),
      /^of the host\nof the host\n$/,
    );
    const { cgroup } = JSON.parse(readFileSync(`${bench.root}/gtck-b/state.json`, 'utf8')) as { cgroup: string[] };
    assert.deepEqual(
      cgroup,
      own.cgroup.map((directory) => `${directory}-again`),
    );
    for (const directory of cgroup)
      assert.match(readFileSync(`${directory}/cgroup.procs`, 'utf8'), new RegExp(`^${pid}$`, 'm'), directory);
    bench.refuse(/gtck-b exists already/, '--criu', criu, ...restore, 'gtck-b');
    bench.succeed('delete', '--force', 'gtck-b');
  });

  test('left running it can be restored later; in the foreground its output and exit code are the answer', {
    skip: unfit,
  }, async () => {
    bench.configure(`trap "exit 7" TERM; ${counting}`);
    // A pipe, where spawn would make a socket.
    const piped = (...words: readonly string[]) => {
      const command = [
        '"$@" < <(sleep 1000) 2>&1 | cat; exit ${PIPESTATUS[0]}',
        'bash',
        program,
        '--root',
        bench.root,
        ...words,
      ];
      const child = spawn('bash', ['-c', ...command], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
      groups.push(child.pid ?? 0);
      return { child, ended: once(child, 'exit'), lines: createInterface({ input: child.stdout }) };
    };
    const first = piped('run', '--bundle', bench.bundle, 'gtck-c');
    await once(first.lines, 'line');
    withCriu('checkpoint', '--leave-running', '--image-path', `${images}-2`, '--work-path', `${images}-work`, 'gtck-c');
    assert.equal(bench.state('gtck-c').status, 'running');
    bench.succeed('kill', 'gtck-c', 'TERM');
    assert.deepEqual(await first.ended, [7, null]);
    const words = ['--criu', criu, 'restore', '--bundle', bench.bundle, '--image-path', `${images}-2`, 'gtck-c'];
    const again = piped(...words);
    const [line] = (await once(again.lines, 'line')) as [string];
    assert.ok(Number(line) > 1, line);
    bench.succeed('kill', 'gtck-c', 'TERM');
    assert.deepEqual(await again.ended, [7, null]);
  });

  test('where criu is missing, or finds the kernel unfit, that is said and the container runs on', () => {
    start('gtck-d');
    bench.refuse(
      /cannot run \/no\/criu: .*; install criu, or name it/,
      '--criu',
      '/no/criu',
      'checkpoint',
      '--image-path',
      images,
      'gtck-d',
    );
    if (unfit !== false && check.error === undefined)
      bench.refuse(
        /criu dump ended with 1: \S+.*whether "criu check"/,
        '--criu',
        criu,
        'checkpoint',
        '--image-path',
        images,
        'gtck-d',
      );
    assert.equal(bench.state('gtck-d').status, 'running');
  });

  test('what cannot be checkpointed or restored is refused before anything is made', () => {
    bench.refuse(/gtck-none does not exist/, 'checkpoint', '--image-path', images, 'gtck-none');
    bench.configure('exit 0');
    bench.succeed('create', '--bundle', bench.bundle, 'gtck-e');
    bench.refuse(/gtck-e is created; only a running one/, 'checkpoint', '--image-path', images, 'gtck-e');
    bench.succeed('delete', '--force', 'gtck-e');
    const restore = ['restore', '--bundle', bench.bundle, '--image-path', `${bench.home}/nothing`, 'gtck-e'];
    bench.refuse(/there is no directory \S+nothing; give --image-path/, ...restore);
    mkdirSync(`${bench.home}/nothing`);
    bench.refuse(/no checkpoint is there/, ...restore);
    writeFileSync(`${bench.home}/nothing/gantry.json`, '{"mounts":[],"files":[]}');
    bench.refuse(
      /--manage-cgroups-mode some: use one of soft/,
      ...['restore', '--manage-cgroups-mode', 'some'],
      ...restore.slice(1),
    );
    bench.refuse(/--empty-ns pid: criu knows network alone/, ...['restore', '--empty-ns', 'pid'], ...restore.slice(1));
    bench.configure('exit 0', (config) => {
      config.hooks = { createRuntime: [{ path: '/bin/true' }] };
    });
    bench.refuse(/hooks.createRuntime run while a container is made/, ...restore);
  });
});
