import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { project } from '../harness/program.ts';
import { callNumber, probeMount } from './hostile.ts';

const [EPERM, ECONNREFUSED] = [1, 111];

describe('what a container’s root can reach', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  const run = (...args: string[]) => engine.gantry(['run', '--rm', ...args]);
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  /** Each line's attempt must fail, with these words. */
  const allRefused = async (attempts: readonly string[], pattern: RegExp, ...options: string[]) => {
    const script = attempts.map((attempt) => `(${attempt}) 2>&1 && echo "DONE: ${attempt}"`).join('\n');
    const { stdout } = await run(...options, 'busybox', 'sh', '-c', script);
    assert.doesNotMatch(stdout, /DONE:/);
    const lines = stdout.trim().split('\n');
    assert.equal(lines.length, attempts.length, stdout);
    for (const line of lines) assert.match(line, pattern);
  };

  test('every namespace is the container’s own, that of time too; an exec is in the same ones', async () => {
    const names = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'uts'].filter((name) =>
      existsSync(`/proc/self/ns/${name}`),
    );
    const script = `for n in ${names.join(' ')}; do readlink /proc/self/ns/$n; done`;
    assert.equal((await engine.gantry(['run', '-d', '--name', 'spaces', 'busybox', 'sleep', '1000'])).code, 0);
    const inside = (await engine.gantry(['exec', 'spaces', 'sh', '-c', script])).stdout.trim().split('\n');
    const others = (await ok('busybox', 'sh', '-c', script)).trim().split('\n');
    const pid = (await engine.gantry(['inspect', '-f', '{{.State.Pid}}', 'spaces'])).stdout.trim();
    names.forEach((name, at) => {
      assert.notEqual(inside[at], readlinkSync(`/proc/self/ns/${name}`));
      assert.notEqual(inside[at], others[at]);
      assert.equal(inside[at], readlinkSync(`/proc/${pid}/ns/${name}`));
    });
  });

  test('no knob of the kernel can be turned: core_pattern, sysrq, modprobe, uevents, cgroups', async () => {
    const files = [
      ...[
        '/proc/sys/kernel/core_pattern',
        '/proc/sys/kernel/modprobe',
        '/proc/sys/fs/suid_dumpable',
        '/proc/sysrq-trigger',
      ],
      ...['/proc/irq/default_smp_affinity', '/sys/kernel/uevent_helper', '/sys/kernel/mm/transparent_hugepage/enabled'],
      ...readdirSync('/sys/fs/cgroup')
        .filter((name) => existsSync(`/sys/fs/cgroup/${name}/release_agent`) && !name.includes(','))
        .slice(0, 2)
        .map((name) => `/sys/fs/cgroup/${name}/notify_on_release`),
    ].filter((path) => existsSync(path));
    assert.ok(files.length >= 3);
    await allRefused(
      files.map((path) => `echo 1 > ${path}`),
      /Read-only file system|Permission denied/,
    );
  });

  test('read-only places cannot be made writable, masks not be taken off, nothing be mounted', async () => {
    await allRefused(
      [
        ...[
          'mount -o remount,rw /proc/sys',
          'mount -o remount,rw /sys',
          'umount /proc/interrupts',
          'umount -l /proc/sys',
        ],
        ...[
          'mount -t proc proc /tmp',
          'mount -t sysfs sysfs /tmp',
          'mount -t cgroup2 none /tmp',
          'mount --bind / /tmp',
        ],
        ...['mount -t devpts none /tmp', 'unshare -Ur true', 'pivot_root / /tmp'],
      ],
      /denied|permitted/i,
    );
    assert.match(
      await ok('busybox', 'sh', '-c', 'cat /proc/interrupts /proc/timer_list | wc -c; ls /sys/firmware | wc -l'),
      /^0\n0\n$/,
    );
  });

  test('masked and read-only paths are moby’s, and more: each is covered where this kernel has it', async () => {
    const masked = [
      ...['/proc/acpi', '/proc/asound', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats'],
      ...['/proc/sched_debug', '/proc/scsi', '/proc/timer_list', '/proc/timer_stats', '/sys/firmware'],
      ...['/sys/devices/virtual/powercap'],
      ...readdirSync('/sys/devices/system/cpu')
        .filter((name) => /^cpu\d+$/.test(name))
        .map((name) => `/sys/devices/system/cpu/${name}/thermal_throttle`),
    ].filter((path) => existsSync(path));
    const readOnly = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'].filter((p) =>
      existsSync(p),
    );
    const lines = (await ok('busybox', 'cat', '/proc/self/mountinfo')).trim().split('\n');
    const mountAt = (path: string) => lines.findLast((line) => line.split(' ')[4] === path);
    for (const path of masked) assert.match(mountAt(path) ?? '', / - (?:tmpfs|devtmpfs) |\/null /, path);
    for (const path of readOnly) assert.match(mountAt(path) ?? '', /^\S+ \S+ \S+ \S+ \S+ ro\b/, path);
    assert.ok(masked.length > 0 && readOnly.length > 0);
  });

  test('devices of the host cannot be opened, though nodes of them can be made', async () => {
    const disks = readFileSync('/proc/partitions', 'utf8')
      .split('\n')
      .flatMap((line) => /^\s*(\d+)\s+(\d+)\s+\d+\s+\S+$/.exec(line)?.slice(1, 3).join(' ') ?? [])
      .slice(0, 3)
      .map((numbers) => `b ${numbers}`);
    const attempts = [...disks, 'c 1 1', 'c 1 11', 'c 10 229', 'c 10 200', 'c 4 0'].map(
      (numbers, at) => `mknod /tmp/node${at} ${numbers} && head -c 1 /tmp/node${at}`,
    );
    await allRefused(attempts, /head: .*Operation not permitted/);
    assert.equal(await ok('busybox', 'sh', '-c', 'mknod /tmp/zero c 1 5 && head -c 3 /tmp/zero | wc -c'), '3\n');
  });

  test('no process of the host is seen, the shim’s least of all, nor the host’s files through /proc', async () => {
    const programs = 'for p in /proc/[0-9]*; do readlink $p/exe; done | sort -u';
    const parents = 'cut -d" " -f4 /proc/1/stat';
    const files = `ls -d /proc/1/root${project} /proc/1/cwd/../..${project} /proc/self/root/../..${project} 2>/dev/null`;
    const { stdout } = await run('busybox', 'sh', '-c', `${programs}; ${parents}; ${files}`);
    assert.equal(stdout, '/bin/busybox\n0\n');
  });

  test('in the host’s pid namespace too, the shim’s and the engine’s files, memory and environment are closed', async () => {
    const name = [
      'run',
      '-d',
      '--name',
      'watcher',
      '--pid',
      'host',
      '--cap-add',
      'DAC_READ_SEARCH',
      'busybox',
      'sleep',
      '1000',
    ];
    assert.equal((await engine.gantry(name)).code, 0);
    const own = (await engine.gantry(['inspect', '-f', '{{.State.Pid}}', 'watcher'])).stdout.trim();
    const shim = readFileSync(`/proc/${own}/stat`, 'utf8').split(' ')[3] ?? '';
    assert.match(readFileSync(`/proc/${shim}/comm`, 'utf8'), /^gantry-shim/);
    const attempts = [shim, String(engine.pid())].flatMap((pid) => [
      ...[`ls /proc/${pid}/root/`, `ls /proc/${pid}/cwd/`, `head -c 1 /proc/${pid}/fd/0`, `cat /proc/${pid}/environ`],
      ...[`head -c 1 /proc/${pid}/mem`, `readlink /proc/${pid}/exe || echo refused permission denied; false`],
    ]);
    const script = attempts.map((attempt) => `(${attempt}) 2>&1 && echo "DONE: ${attempt}"`).join('\n');
    const { stdout } = await engine.gantry(['exec', 'watcher', 'sh', '-c', `${script}\nls -d /proc/${shim}`]);
    assert.doesNotMatch(stdout, /DONE:/);
    const lines = stdout.trim().split('\n');
    assert.equal(lines.pop(), `/proc/${shim}`, 'they are seen');
    for (const line of lines) assert.match(line, /permission denied/i);
    assert.equal(lines.length, attempts.length, stdout);
  });

  test('the engine’s sockets are nowhere in a container', async () => {
    const script = 'find / -xdev -type s 2>/dev/null | wc -l; grep -v ^Num /proc/net/unix | wc -l';
    assert.equal(await ok('busybox', 'sh', '-c', script), '0\n0\n');
    assert.equal(await ok('--network', 'none', 'busybox', 'sh', '-c', script), '0\n0\n');
  });

  test('abstract sockets of the host are out of reach, but in the host’s own network', async () => {
    const name = `gantry-test-${process.pid}`;
    const server = createServer((socket) => socket.end('reached'));
    await new Promise<void>((ready) => server.listen(`\0${name}`, ready));
    try {
      const connect = ['busybox', '/probe', 'connect', name];
      assert.equal(await ok(...probeMount(), ...connect), `${ECONNREFUSED}\n`);
      assert.equal(await ok('--network', 'none', ...probeMount(), ...connect), `${ECONNREFUSED}\n`);
      assert.equal(await ok('--network', 'host', ...probeMount(), ...connect), '0 7\n', 'the host’s network has it');
    } finally {
      server.close();
    }
  });

  test('the spawner of shims listens to the engine alone, also where a container has the host’s network', async () => {
    const name = spawnerAddress(engine.pid());
    const shims = () => readdirSync('/proc').filter((pid) => isShimOf(pid, engine.pid())).length;
    const before = shims();
    for (let at = 0; at < 3; at++)
      assert.equal(
        await ok('--network', 'host', '--privileged', ...probeMount(), 'busybox', '/probe', 'connect', name),
        '0 0\n',
        'it is let go without a word',
      );
    assert.equal(shims(), before);
    assert.equal(await ok('busybox', 'echo', 'alive'), 'alive\n');
  });

  test('of the host’s kernel log, keys and other processes’ memory nothing is told', async () => {
    const calls: readonly (readonly string[])[] = [
      ['syslog', '3', 'b:4096', '4096'],
      ['keyctl', '0', '-3', '0'],
      ['process_madvise', '0', '0', '0', '0', '0'],
      ['kcmp', '1', '1', '0', '0', '0'],
      ['name_to_handle_at', '-100', 's:/', 'b:256', 'b:8', '0'],
    ];
    const script = calls.map(([call = '', ...args]) => `/probe call ${callNumber(call)} ${args.join(' ')}`).join('\n');
    const errnos = (await ok(...probeMount(), 'busybox', 'sh', '-c', script)).trim().split('\n').map(Number);
    assert.deepEqual(errnos.slice(0, 4), [EPERM, EPERM, EPERM, EPERM]);
  });
});

function isShimOf(pid: string, engine: number): boolean {
  try {
    return (
      /^\d+$/.test(pid) &&
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('gantry-shim\0--spawner') &&
      readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[3] === String(engine)
    );
  } catch {
    return false; // it ended
  }
}

/** The abstract name at which the engine's spawner listens. */
function spawnerAddress(engine: number): string {
  const pid = readdirSync('/proc').find((candidate) => isShimOf(candidate, engine)) ?? '';
  const inodes = readdirSync(`/proc/${pid}/fd`)
    .map((fd) => /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1])
    .filter((inode) => inode !== undefined);
  for (const line of readFileSync('/proc/net/unix', 'utf8').split('\n')) {
    const [, , , , , , inode = '', path = ''] = line.trim().split(/\s+/);
    if (path.startsWith('@') && inodes.includes(inode)) return path.slice(1);
  }
  throw new Error('the spawner listens at no abstract name');
}
