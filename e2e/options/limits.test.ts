import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { cgroupDirectories, removeCgroup } from '../harness/cgroups.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { control, workbench } from './workbench.ts';

describe('limits of containers', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  const { ok, inside, refused, inspect, docker } = workbench(() => engine);
  const v1 = existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes');

  test('memory: limit, swap, reservation, swappiness, and no OOM killer', {
    skip: !v1 && 'cgroup v1 has these files',
  }, async () => {
    const flags = ['-m', '64m', '--memory-swap', '96m', '--memory-reservation', '32m', '--memory-swappiness', '7'];
    const files = ['limit_in_bytes', 'memsw.limit_in_bytes', 'soft_limit_in_bytes', 'swappiness'];
    const script = files.map((file) => `cat /sys/fs/cgroup/memory/memory.${file}`).join(';');
    assert.equal(await inside(flags, script), `${64 << 20}\n${96 << 20}\n${32 << 20}\n7\n`);
    const twice = await inside(
      ['-m', '64m', '--oom-kill-disable'],
      `${script};head -1 /sys/fs/cgroup/memory/memory.oom_control`,
    );
    assert.match(twice, new RegExp(`^${64 << 20}\\n${128 << 20}\\n`), 'as much swap as memory, where nothing is said');
    assert.match(twice, /oom_kill_disable 1/);
  });

  test('processors: shares, quota and period, --cpus, sets of processors and memory nodes', async () => {
    const quota = control('cpu/cpu.cfs_quota_us', 'cpu.max');
    assert.match(await inside(['--cpu-quota', '30000', '--cpu-period', '60000'], quota), /^30000( 60000)?$/m);
    assert.match(await inside(['--cpus', '1.5'], quota), /^150000( 100000)?$/m);
    assert.match(await inside(['-c', '512'], control('cpu/cpu.shares', 'cpu.weight')), /^(512|20)$/m);
    const sets = `${control('cpuset/cpuset.cpus', 'cpuset.cpus')};${control('cpuset/cpuset.mems', 'cpuset.mems')}`;
    assert.equal(await inside(['--cpuset-cpus', '0', '--cpuset-mems', '0'], sets), '0\n0\n');
  });

  test('processes, /dev/shm, ulimits and the OOM score', async () => {
    assert.equal(await inside(['--pids-limit', '33'], control('pids/pids.max', 'pids.max')), '33\n');
    assert.match(await inside(['--shm-size', '3m'], 'df -k /dev/shm'), /\s3072\s/);
    const limits = await inside(
      ['--ulimit', 'nofile=100:200', '--ulimit', 'core=0'],
      'ulimit -n; ulimit -Hn; ulimit -c',
    );
    assert.equal(limits, '100\n200\n0\n');
    assert.equal(await inside(['--oom-score-adj', '321'], 'cat /proc/self/oom_score_adj'), '321\n');
  });

  const disk = readdirSync('/sys/block').find(
    (name) => existsSync(`/dev/${name}`) && /^(?:vd|sd|nvme|xvd|loop)/.test(name),
  );
  const throttled = existsSync('/sys/fs/cgroup/blkio/blkio.throttle.read_bps_device');
  test('rates of a block device', {
    skip: (disk === undefined || !throttled) && 'no block device, or no blkio',
  }, async () => {
    const device = `/dev/${disk}`;
    const numbers = readFileSync(`/sys/block/${disk}/dev`, 'utf8').trim();
    const flags = [
      ...['--device-read-bps', `${device}:1mb`, '--device-write-bps', `${device}:2mb`],
      ...['--device-read-iops', `${device}:300`, '--device-write-iops', `${device}:400`],
    ];
    const files = ['read_bps', 'write_bps', 'read_iops', 'write_iops'];
    const script = files.map((file) => `cat /sys/fs/cgroup/blkio/blkio.throttle.${file}_device`).join(';');
    assert.equal(
      await inside(flags, script),
      [1 << 20, 2 << 20, 300, 400].map((rate) => `${numbers} ${rate}\n`).join(''),
    );
    await refused(['--device-read-bps', '/dev/null:1mb'], /\/dev\/null is no block device/);
    await refused(['--device-read-bps', '/dev/gone:1mb'], /no such block device: \/dev\/gone/);
  });

  test('a container lies in the cgroup that it is asked to, below the root, and leaves that behind', async () => {
    const parent = `gantry-parent-${process.pid}/below`;
    try {
      for (const [name, asked] of [
        ['absolute', `/${parent}`],
        ['relative', parent],
        ['beside', `../${parent}/`],
      ] as const) {
        await ok('run', '-d', '--name', name, '--cgroup-parent', asked, 'busybox', 'sleep', '1000');
        const { Id, State, HostConfig } = await inspect(name);
        const places = readFileSync(`/proc/${State.Pid}/cgroup`, 'utf8');
        assert.ok(places.includes(`:/${parent}/${Id}\n`), places);
        assert.equal(HostConfig.CgroupParent, asked);
        assert.match(await ok('exec', name, 'echo', 'in it'), /in it/);
      }
      await engine.restart();
      await ok('stop', '-t', '0', 'relative');
      await ok('rm', '--force', 'absolute', 'relative', 'beside');
      const left = cgroupDirectories(`/${parent}`);
      assert.ok(left.length > 0);
      for (const directory of left)
        assert.deepEqual(
          readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory()),
          [],
        );
    } finally {
      removeCgroup(`/gantry-parent-${process.pid}`);
    }
  });

  test('what cannot be is refused in Docker\u2019s words, naming the value', async () => {
    await refused(['-m', '1m'], /Minimum memory limit allowed is 6MB/);
    await refused(['-m', '64m', '--memory-swap', '32m'], /Minimum memoryswap limit should be larger than memory limit/);
    await refused(['--memory-swap', '64m'], /You should always set the Memory limit when using Memoryswap limit/);
    await refused(
      ['--cpus', '1', '--cpu-quota', '5000'],
      /Conflicting options: Nano CPUs and CPU Quota cannot both be set/,
    );
    await refused(['--cpus', '4096'], /range of CPUs is from 0\.01 to \d+\.00, as there are only \d+ CPUs available/);
    await refused(['--cpuset-cpus', '4095'], /Requested CPUs are not available - requested 4095, available: /);
    await refused(['--cpuset-cpus', 'x'], /Invalid value x for cpuset cpus/);
    await refused(['--cpu-period', '10'], /CPU cfs period can not be less than 1ms/);
    await refused(['--blkio-weight', '5'], /Range of blkio weight is from 10 to 1000/);
    await refused(['--ulimit', 'speed=1'], /invalid ulimit type: speed/);
    await refused(['--device-read-bps', '/dev/vda'], /bad format: \/dev\/vda/);
    await refused(['--memory-swappiness', '200'], /Valid memory swappiness range is 0-100/);
  });

  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  const mayRaise =
    (BigInt(`0x${/^CapEff:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`) >> 24n) & 1n;
  test('a ulimit above the engine\u2019s own', { skip: mayRaise === 1n && 'root may raise limits here' }, async () => {
    await refused(
      ['--ulimit', `nofile=${Number(hard) + 1}`],
      new RegExp(
        `ulimit nofile: a hard limit of ${Number(hard) + 1} is above this engine's own of ${hard}, and without CAP_SYS_RESOURCE`,
      ),
    );
  });

  test('update changes a running container\u2019s cgroup and a stopped one\u2019s next start', async () => {
    await ok('run', '-d', '--name', 'up', '-m', '64m', 'busybox', 'sleep', '1000');
    const memory = control('memory/memory.limit_in_bytes', 'memory.max');
    assert.equal(await ok('update', '-m', '96m', '--pids-limit', '44', '--cpu-shares', '256', 'up'), 'up\n');
    assert.equal(
      await ok('exec', 'up', 'sh', '-c', `${memory};${control('pids/pids.max', 'pids.max')}`),
      `${96 << 20}\n44\n`,
    );
    const { HostConfig } = await inspect('up');
    assert.deepEqual([HostConfig.Memory, HostConfig.MemorySwap, HostConfig.PidsLimit], [96 << 20, 128 << 20, 44]);
    const tooMuch = await engine.gantry(['update', '-m', '256m', 'up']);
    assert.equal(tooMuch.code, 1);
    assert.match(
      tooMuch.stderr,
      /Memory limit should be smaller than already set memoryswap limit, update the memoryswap/,
    );
    await ok('update', '-m', '256m', '--memory-swap', '-1', '--pids-limit', '-1', 'up');
    assert.match(
      await ok('exec', 'up', 'sh', '-c', `${memory};${control('pids/pids.max', 'pids.max')}`),
      /^268435456\nmax$/m,
    );
    await ok('stop', '-t', '0', 'up');
    await ok('update', '--cpus', '0.5', '--restart', 'on-failure:3', 'up');
    assert.deepEqual((await inspect('up')).HostConfig.RestartPolicy, { Name: 'on-failure', MaximumRetryCount: 3 });
    await ok('start', 'up');
    assert.match(await ok('exec', 'up', 'sh', '-c', control('cpu/cpu.cfs_quota_us', 'cpu.max')), /^50000/);
    const conflict = await engine.gantry(['update', '--cpu-quota', '5000', 'up']);
    assert.match(conflict.stderr, /CPU Quota cannot be updated as NanoCPUs has already been set/);
    assert.match((await engine.gantry(['update', 'up'])).stderr, /you must provide one or more flags/);
    assert.match((await engine.gantry(['update', '-m', '64m', 'nosuch'])).stderr, /No such container: nosuch/);
    const raw = await engine.api('POST', '/containers/up/update', { Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }] });
    assert.deepEqual([raw.status, /Ulimits/.test(raw.text)], [501, true]);
    await ok('rm', '-f', 'up');
  });

  test('the stock docker client: flags, update, and inspect shows every limit back', async () => {
    const flags = [
      ...[
        '-m',
        '64m',
        '--memory-reservation',
        '32m',
        '--cpus',
        '0.5',
        '-c',
        '512',
        '--cpuset-cpus',
        '0',
        '--pids-limit',
        '9',
      ],
      ...['--ulimit', 'nofile=64:128', '--shm-size', '8m', '--oom-score-adj', '100', '--group-add', 'staff'],
      ...['--stop-signal', 'INT', '--stop-timeout', '3', '--runtime', 'gantry', '--annotation', 'a=b'],
    ];
    await docker('create', '--name', 'made', ...flags, 'busybox', 'sleep', '100');
    const { HostConfig: host, Config: config, Gantry } = await inspect('made');
    assert.deepEqual(
      [
        host.Memory,
        host.MemorySwap,
        host.MemoryReservation,
        host.NanoCpus,
        host.CpuShares,
        host.CpusetCpus,
        host.PidsLimit,
      ],
      [64 << 20, 128 << 20, 32 << 20, 5e8, 512, '0', 9],
    );
    assert.deepEqual(host.Ulimits, [{ Name: 'nofile', Soft: 64, Hard: 128 }]);
    assert.deepEqual([host.ShmSize, host.OomScoreAdj, host.GroupAdd], [8 << 20, 100, ['staff']]);
    assert.deepEqual([host.Runtime, host.Annotations], ['gantry', { a: 'b' }]);
    assert.deepEqual([config.StopSignal, config.StopTimeout], ['INT', 3]);
    assert.equal(Gantry.Provenance['linux.resources.memory.limit'], 'user');
    await docker('start', 'made');
    assert.equal(await docker('update', '--pids-limit', '21', '--restart', 'always', 'made'), 'made\n');
    assert.equal(await docker('exec', 'made', 'sh', '-c', control('pids/pids.max', 'pids.max')), '21\n');
    await docker('rm', '-f', 'made');
  });
});
