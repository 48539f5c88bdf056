import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { openCgroups } from '#linux/index.ts';
import { capabilities, Workbench } from './workbench.ts';

test('every namespace is the container’s own', async () => {
  await using bench = new Workbench();
  const links = (await bench.shell('for n in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done'))
    .trim()
    .split('\n');
  ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'].forEach((name, index) => {
    assert.match(links[index] ?? '', new RegExp(`^${name}:`));
    assert.notEqual(links[index], readlinkSync(`/proc/self/ns/${name}`));
  });
  assert.equal(
    await bench.shell('hostname; echo $$; ls /sys/class/net; cat /proc/self/cgroup | cut -d: -f3 | sort -u'),
    'inside\n1\nlo\n/\n',
  );
});

test('namespaces that are not asked for are the host’s; others are joined by path', async () => {
  await using bench = new Workbench();
  const holder = await bench.create(['sleep', '60']);
  await holder.start();
  const path = (name: string) => `/proc/${holder.pid}/ns/${name}`;
  const script =
    'readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; readlink /proc/self/ns/pid; ps | grep -c "sleep 60"';
  const joined = await bench.shell(script, {
    linux: {
      namespaces: [
        { type: 'mount' },
        { type: 'uts' },
        { type: 'network', path: path('net') },
        { type: 'ipc', path: path('ipc') },
        { type: 'pid', path: path('pid') },
      ],
    },
  });
  assert.deepEqual(
    joined.trim().split('\n').slice(0, 3),
    ['net', 'ipc', 'pid'].map((name) => readlinkSync(path(name))),
  );
  const host = await bench.shell('readlink /proc/self/ns/net; readlink /proc/self/ns/pid', {
    linux: { namespaces: [{ type: 'mount' }, { type: 'uts' }] },
  });
  assert.equal(host, `${readlinkSync('/proc/self/ns/net')}\n${readlinkSync('/proc/self/ns/pid')}\n`);
});

test('the container sees none of the host’s mounts, and the host none of its', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['sleep', '60']);
  await task.start();
  const inside = readFileSync(`/proc/${task.pid}/mountinfo`, 'utf8');
  const points = inside
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  for (const point of points) assert.match(point, /^\/(?:$|proc|dev|sys)/);
  assert.deepEqual(
    bench.leftovers().filter((line) => !line.includes('cgroup')),
    [],
  );
});

test('masked paths are empty, read-only ones and a read-only root refuse', async () => {
  await using bench = new Workbench();
  const script =
    'cat /proc/kcore | wc -c; ls /sys/firmware | wc -l; (echo 1 > /proc/sys/net/ipv4/ip_forward) 2>&1; (echo x > /root/x) 2>&1; echo ok > /dev/shm/x && cat /dev/shm/x';
  const out = await bench.shell(script, { spec: { root: { path: 'rootfs', readonly: true } } });
  const [kcore, firmware, sysctl, root, shm] = out.trim().split('\n');
  assert.deepEqual([kcore, firmware, shm], ['0', '0', 'ok']);
  assert.match(sysctl ?? '', /Read-only file system/);
  assert.match(root ?? '', /Read-only file system/);
});

test('/dev has the default nodes and links; /sys/fs/cgroup the container’s own', async () => {
  await using bench = new Workbench();
  const script =
    'echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; echo x > /dev/full 2>/dev/null || echo full; for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; ls -l /dev/tty | cut -c1-10; ls -d /dev/pts /dev/mqueue /dev/shm';
  assert.equal(
    await bench.shell(script),
    '3\n3\nfull\n/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\ncrw-rw-rw-\n/dev/mqueue\n/dev/pts\n/dev/shm\n',
  );
  const { hierarchies } = openCgroups();
  const names = hierarchies.length === 1 ? ['.'] : hierarchies.map(({ controllers }) => controllers);
  const listed = await bench.shell(
    `cd /sys/fs/cgroup && for d in ${names.join(' ')}; do grep -c . $d/cgroup.procs; done; mkdir x 2>&1 | grep -o Read-only`,
  );
  for (const count of listed.trim().split('\n').slice(0, -1)) assert.notEqual(count, '0');
});

test('capabilities, no-new-privileges, seccomp and ids are as asked', async () => {
  await using bench = new Workbench();
  const status = async (wish = {}) => {
    const text = await bench.shell('cat /proc/self/status; id', wish);
    return (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? text.trim().split('\n').at(-1);
  };
  const root = await status();
  const bits = root('CapEff') ?? '';
  assert.equal(root('CapBnd'), bits);
  assert.equal(root('CapPrm'), bits);
  assert.equal(root('CapInh'), '0000000000000000');
  assert.equal([...BigInt(`0x${bits}`).toString(2)].filter((bit) => bit === '1').length, capabilities.length);
  assert.equal(root('Seccomp'), '2');
  assert.equal(root('NoNewPrivs'), '0');
  const user = await status({
    process: {
      user: { uid: 1000, gid: 1000, additionalGids: [50, 60], umask: 0o77 },
      noNewPrivileges: true,
      capabilities: {
        bounding: ['CAP_NET_RAW'],
        inheritable: ['CAP_NET_RAW'],
        permitted: ['CAP_NET_RAW'],
        ambient: ['CAP_NET_RAW'],
      },
    },
  });
  assert.equal(user('CapEff'), '0000000000002000');
  assert.equal(user('CapAmb'), '0000000000002000');
  assert.equal(user('CapBnd'), '0000000000002000');
  assert.equal(user('NoNewPrivs'), '1');
  assert.equal(user('Seccomp'), '2');
  assert.equal(user('Umask'), '0077');
  assert.match(user('nothing') ?? '', /^uid=1000\(ana\) gid=1000\(ana\) groups=.*50\(staff\),60/);
});

test('a seccomp rule holds: an unshare is refused', async () => {
  await using bench = new Workbench();
  const { code, stderr } = await bench.run(['unshare', '-m', 'true']);
  assert.notEqual(code, 0);
  assert.match(stderr, /Operation not permitted/);
});

test('rlimits, oom_score_adj, sysctls and the working directory are as asked', async () => {
  await using bench = new Workbench();
  const out = await bench.shell(
    'ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni; pwd; stat -c %u .',
    {
      process: {
        rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }],
        oomScoreAdj: 500,
        cwd: '/made/for/it',
        user: { uid: 1000, gid: 1000 },
        capabilities: {},
      },
      linux: { sysctl: { 'net.ipv4.ip_unprivileged_port_start': '80', 'kernel.shmmni': '1234' } },
    },
  );
  assert.equal(out, '100\n200\n500\n80\n1234\n/made/for/it\n1000\n');
  assert.notEqual(readFileSync('/proc/sys/kernel/shmmni', 'utf8').trim(), '1234');
});

test('nothing of the shim is open in the process, and its session is its own', async () => {
  await using bench = new Workbench();
  assert.equal(
    await bench.shell(
      // Straight to stdout: a pipe or file would be the shell's own for a moment.
      'ls /proc/$$/fd; cut -d" " -f6 /proc/$$/stat; grep SigBlk /proc/$$/status | cut -f2',
    ),
    '0\n1\n2\n1\n0000000000000000\n',
  );
  assert.equal(await bench.shell('grep SigIgn /proc/self/status | cut -f2'), '0000000000000000\n');
});

test('memory and pids limits hold, and an OOM kill is told', async () => {
  await using bench = new Workbench();
  const task = await bench.create(
    ['sh', '-c', 'head -c 200000000 /dev/zero | tail -c 200000000 > /dev/null; echo $?'],
    {
      linux: { resources: { memory: { limit: 16 * 1024 * 1024, swap: 16 * 1024 * 1024 } } },
    },
  );
  await task.start();
  assert.equal((await task.wait()).oom, true);
  const { stderr } = await bench.run(['sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done'], {
    linux: { resources: { pids: { limit: 5 } } },
  });
  assert.match(stderr, /Resource temporarily unavailable|can't fork/);
});
