import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import type { RuntimeSpec } from '#oci/index.ts';
import { finish, outputUntil, type Wish, Workbench } from '../runtime/workbench.ts';
import { buildSanitized, hasSanitizers, type SanitizedPrograms } from './build.ts';

const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const mapped: NonNullable<RuntimeSpec['linux']> = {
  namespaces: (['mount', 'pid', 'ipc', 'uts', 'cgroup', 'network', 'user', 'time'] as const).map((type) => ({ type })),
  uidMappings: ids,
  gidMappings: ids,
  timeOffsets: { monotonic: { secs: 5 } },
};

suite('shim, launcher and init under sanitizers', { skip: !hasSanitizers() }, () => {
  let programs: SanitizedPrograms;
  before(() => {
    // What the short-lived processes hold when they end is the kernel's to free.
    process.env.ASAN_OPTIONS = 'detect_leaks=0:abort_on_error=1';
    programs = buildSanitized();
  });
  after(() => programs[Symbol.dispose]());

  const silent = (bench: Workbench, id: string) => {
    const log = `${bench.taskDirectory(id)}/shim.log`;
    if (existsSync(log)) assert.equal(readFileSync(log, 'utf8'), '');
  };

  test('a container with stdin, a log, an exec, and one with an init and a terminal', async () => {
    await using bench = new Workbench(programs);
    const log = { path: `${bench.directory}/log`, maxBytes: 1000, maxFiles: 2 };
    const task = await bench.create(['sh', '-c', 'seq 300; cat; exit 3'], {
      stdio: { stdin: true, stdinOnce: true, log },
      process: { rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 100 }], noNewPrivileges: true, oomScoreAdj: 10 },
    });
    const io = await task.attach();
    await task.start();
    const output = io.output[Symbol.asyncIterator]();
    await outputUntil(output, '300\n');
    const exec = await task.exec({
      id: 'e',
      directory: bench.taskDirectory('e'),
      process: bench.process(['echo', 'inside']),
      stdio: { terminal: false, stdin: false },
    });
    assert.equal((await finish(exec)).stdout, 'inside\n');
    io.stdin.end('done\n');
    await outputUntil(output, 'done\n');
    assert.equal((await task.wait()).code, 3);
    await io[Symbol.asyncDispose]();
    silent(bench, 'c0');
    const terminal = await bench.run(['sh', '-c', 'stty size; (sleep 0 &); exit 4'], {
      init: true,
      stdio: { terminal: true, size: { rows: 7, columns: 9 } },
    });
    assert.deepEqual([terminal.code, terminal.stdout], [4, '7 9\r\n']);
  });

  test('user and time namespaces, idmapped layers, hooks, tmpcopyup and a remount', async () => {
    await using bench = new Workbench(programs);
    for (const name of ['upper', 'work', 'layer/data']) mkdirSync(`${bench.directory}/${name}`, { recursive: true });
    writeFileSync(`${bench.directory}/layer/data/file`, 'content\n');
    const layers = `lowerdir=${bench.directory}/layer:${bench.rootfs}`;
    const options = [layers, `upperdir=${bench.directory}/upper`, `workdir=${bench.directory}/work`];
    const hook = [{ path: '/bin/sh', args: ['sh', '-c', 'cat > /dev/null; echo said >&2'], timeout: 20 }];
    const wish: Wish = {
      rootfs: [{ destination: '/', type: 'overlay', source: 'overlay', options, uidMappings: ids, gidMappings: ids }],
      mounts: [
        { destination: '/data', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup'] },
        { destination: '/data', options: ['remount', 'bind', 'nosuid'] },
      ],
      spec: { hooks: { prestart: hook, createContainer: hook, startContainer: hook, poststart: hook } },
      process: {
        scheduler: { policy: 'SCHED_BATCH' },
        user: { uid: 5, gid: 6, additionalGids: [7] },
        capabilities: {},
      },
      linux: mapped,
    };
    assert.equal(await bench.shell('cat /data/file; id -u', wish), 'content\n5\n');
    silent(bench, 'c0');
  });

  test('what fails is told, and nothing is found', async () => {
    await using bench = new Workbench(programs);
    await assert.rejects(bench.create(['true'], { mounts: [{ destination: '/x', type: 'nosuchfs' }] }), {
      kind: 'unsupported',
    });
    await assert.rejects(
      bench.create(['true'], { linux: mapped, spec: { hooks: { prestart: [{ path: '/bin/false' }] } } }),
      { message: /permission denied|exited with 1/ },
    );
    await assert.rejects((await bench.create(['no-such-command'])).start(), { code: 'command-not-found' });
  });
});
