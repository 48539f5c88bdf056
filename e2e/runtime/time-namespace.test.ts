import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { finish, Workbench } from './workbench.ts';

const types = ['mount', 'pid', 'ipc', 'uts', 'cgroup', 'network', 'time'] as const;
const namespaces = types.map((type) => ({ type }));

test('a time namespace has its offsets, for those too who come later', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['sleep', '60'], {
    linux: { namespaces, timeOffsets: { boottime: { secs: 1_000_000, nanosecs: 5 }, monotonic: { secs: 86_400 } } },
  });
  await task.start();
  assert.notEqual(readlinkSync(`/proc/${task.pid}/ns/time`), readlinkSync('/proc/self/ns/time'));
  const exec = await task.exec({
    id: 'e',
    directory: bench.taskDirectory('e'),
    process: bench.process(['sh', '-c', 'cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time']),
    stdio: { terminal: false, stdin: false },
  });
  const [uptime, link] = (await finish(exec)).stdout.trim().split('\n');
  const host = Number(readFileSync('/proc/uptime', 'utf8').split('.')[0]);
  assert.ok(Math.abs(Number(uptime) - host - 1_000_000) < 60, `${uptime} ${host}`);
  assert.equal(link, readlinkSync(`/proc/${task.pid}/ns/time`));
  const joined = await bench.shell('readlink /proc/self/ns/time', {
    linux: { namespaces: [...namespaces.slice(0, -1), { type: 'time', path: `/proc/${task.pid}/ns/time` }] },
  });
  assert.equal(joined.trim(), link);
});

test('a time namespace without offsets is private, and its clocks are the host’s; offsets need one', async () => {
  await using bench = new Workbench();
  const out = await bench.shell('readlink /proc/self/ns/time; cat /proc/self/timens_offsets', {
    linux: { namespaces },
  });
  assert.notEqual(out.split('\n')[0], readlinkSync('/proc/self/ns/time'));
  assert.match(out, /monotonic\s+0\s+0\nboottime\s+0\s+0\n$/);
  await assert.rejects(bench.create(['true'], { linux: { timeOffsets: { monotonic: { secs: 1 } } } }), {
    kind: 'invalid',
    message: /timeOffsets needs a time namespace/,
  });
});

test('a mount namespace is joined as it is', async () => {
  await using bench = new Workbench();
  const holder = await bench.create(['sleep', '60'], {
    mounts: [{ destination: '/mark', type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] }],
  });
  await holder.start();
  const path = (name: string) => `/proc/${holder.pid}/ns/${name}`;
  const wish = {
    linux: {
      namespaces: [
        { type: 'mount' as const, path: path('mnt') },
        { type: 'pid' as const, path: path('pid') },
        { type: 'cgroup' as const, path: path('cgroup') },
      ],
      maskedPaths: [],
      readonlyPaths: [],
    },
  };
  const spec = { mounts: [], hostname: '' };
  const out = await bench.shell(
    'readlink /proc/self/ns/mnt; readlink /proc/self/ns/cgroup; grep -c " /mark " /proc/mounts',
    {
      ...wish,
      spec,
    },
  );
  assert.equal(out, `${readlinkSync(path('mnt'))}\n${readlinkSync(path('cgroup'))}\n1\n`);
  await assert.rejects(bench.create(['true'], { ...wish, spec: { hostname: '' } }), {
    kind: 'unsupported',
    message: /^mounts: the mount namespace is joined/,
  });
});
