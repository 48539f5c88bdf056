import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Device, Mount } from '#oci/index.ts';
import { Workbench } from './workbench.ts';

const tmpfs = (destination: string, ...options: readonly string[]): Mount => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options,
});

test('tmpcopyup: a tmpfs begins with what the image has there, owners, modes and links as they are', async () => {
  await using bench = new Workbench();
  const place = `${bench.rootfs}/var/data`;
  mkdirSync(`${place}/deep/er`, { recursive: true });
  writeFileSync(`${place}/deep/er/file`, 'content');
  chownSync(`${place}/deep/er/file`, 7, 8);
  chmodSync(`${place}/deep/er/file`, 0o4750);
  chmodSync(place, 0o1770);
  symlinkSync('/etc/passwd', `${place}/link`);
  const script =
    'cd /var/data; cat deep/er/file; echo; stat -c "%a %u:%g" deep/er/file .; readlink link; echo x > new; ls | wc -l; grep -c " /var/data tmpfs" /proc/mounts';
  const out = await bench.shell(script, { mounts: [tmpfs('/var/data', 'tmpcopyup', 'size=1m')] });
  assert.equal(out, 'content\n4750 7:8\n1770 0:0\n/etc/passwd\n3\n1\n');
  assert.ok(!existsSync(`${place}/new`));
  const readOnly = await bench.run(['sh', '-c', 'cat /var/data/deep/er/file; echo x > /var/data/new'], {
    mounts: [tmpfs('/var/data', 'tmpcopyup', 'ro')],
  });
  assert.match(readOnly.stdout + readOnly.stderr, /^content.*Read-only file system/s);
  await assert.rejects(bench.create(['true'], { mounts: [{ ...tmpfs('/x', 'tmpcopyup'), type: 'proc' }] }), {
    message: /"tmpcopyup" is for a tmpfs/,
  });
});

test('an idmapped bind shows other owners, also recursively', async () => {
  await using bench = new Workbench();
  const source = `${bench.directory}/source`;
  mkdirSync(source);
  writeFileSync(`${source}/file`, '');
  chownSync(`${source}/file`, 5, 6);
  const map = (shift: number) => [{ containerID: 0, hostID: shift, size: 1000 }];
  const bind = (destination: string, option: string): Mount => ({
    destination,
    type: 'bind',
    source,
    options: ['rbind', option],
    uidMappings: map(1000),
    gidMappings: map(2000),
  });
  const out = await bench
    .shell('stat -c %u:%g /plain/file /deep/file; touch /plain/new', {
      mounts: [bind('/plain', 'idmap'), bind('/deep', 'ridmap')],
      process: { user: { uid: 1003, gid: 2004 }, capabilities: { bounding: [], effective: [] } },
      rootfs: [{ destination: '/', type: 'bind', source: bench.rootfs, options: ['rbind'] }],
    })
    .catch((error: unknown) => String(error));
  assert.match(out, /1005:2006\n1005:2006|Permission denied/);
  chmodSync(source, 0o777);
  await bench.shell('touch /plain/new', {
    mounts: [bind('/plain', 'idmap')],
    process: { user: { uid: 1003, gid: 2004 }, capabilities: {} },
  });
  const { uid, gid } = statSync(`${source}/new`);
  assert.deepEqual([uid, gid], [3, 4]);
});

test('remount changes what is mounted: attributes of one mount or all below, and the filesystem’s options', async () => {
  await using bench = new Workbench();
  const out = await bench.shell(
    'for d in /a /a/b /c; do grep " $d " /proc/mounts | cut -d" " -f4; done; df -k /c | tail -1 | awk "{print \\$2}"',
    {
      mounts: [
        tmpfs('/a', 'size=1m'),
        tmpfs('/a/b', 'size=1m'),
        tmpfs('/c', 'size=1m'),
        { destination: '/a', options: ['remount', 'bind', 'nosuid', 'rnoexec'] },
        tmpfs('/c', 'remount', 'size=2m', 'ro'),
      ],
    },
  );
  const [a = '', b = '', c = '', size] = out.trim().split('\n');
  assert.match(a, /nosuid.*noexec/);
  assert.match(b, /^rw,noexec/);
  assert.match(c, /^ro,.*size=2048k/);
  assert.equal(size, '2048');
});

test('recursive attributes reach all below, and the last of contradicting ones wins', async () => {
  await using bench = new Workbench();
  const given = (...options: readonly string[]): Mount => ({
    destination: '/seen',
    type: 'bind',
    source: '/dev/shm',
    options: ['rbind', ...options],
  });
  const shown = async (...options: readonly string[]) =>
    (await bench.shell('grep " /seen " /proc/mounts | cut -d" " -f4', { mounts: [given(...options)] })).trim();
  assert.match(await shown('rro', 'rnosuid', 'rnodev', 'rnoexec', 'rnoatime'), /^ro,nosuid,nodev,noexec,noatime/);
  assert.match(await shown('rro', 'rrw', 'rnoexec', 'rexec'), /^rw(?!.*noexec)/);
  assert.match(await shown('rnosymfollow'), /nosymfollow/);
  assert.match(
    await shown('nosymfollow', 'nodiratime', 'strictatime'),
    /^rw(?!.*relatime).*nodiratime.*nosymfollow|nosymfollow/,
  );
});

test('the root’s propagation is as asked', async () => {
  await using bench = new Workbench();
  const of = async (rootfsPropagation: string) =>
    (
      await bench.shell(
        'grep " / / " /proc/self/mountinfo || grep -E "^[0-9]+ [0-9]+ [0-9:]+ [^ ]+ / " /proc/self/mountinfo',
        {
          linux: { rootfsPropagation },
        },
      )
    ).trim();
  assert.match(await of('rshared'), / shared:\d+ /);
  assert.match(await of('unbindable'), / unbindable /);
  assert.doesNotMatch(await of('rprivate'), /shared|unbindable/);
});

test('devices are made as asked, anywhere; what is there and is another is refused', async () => {
  await using bench = new Workbench();
  const devices: readonly Device[] = [
    { path: '/dev/own', type: 'c', major: 1, minor: 3, fileMode: 0o640, uid: 5, gid: 6 },
    { path: '/srv/zero', type: 'u', major: 1, minor: 5, fileMode: 0o666 },
    { path: '/dev/block', type: 'b', major: 7, minor: 0 },
    { path: '/dev/pipe', type: 'p', fileMode: 0o600 },
    { path: '/dev/null', type: 'c', major: 1, minor: 3, fileMode: 0o600 },
  ];
  const out = await bench.shell(
    'stat -c "%F %a %u:%g %t:%T" /dev/own /srv/zero /dev/block /dev/pipe /dev/null; head -c3 /srv/zero | wc -c',
    { linux: { devices } },
  );
  const special = 'character special file';
  assert.equal(
    out,
    `${special} 640 5:6 1:3\n${special} 666 0:0 1:5\nblock special file 666 0:0 7:0\nfifo 600 0:0 0:0\n${special} 600 0:0 1:3\n3\n`,
  );
  assert.ok(lstatSync(`${bench.rootfs}/srv/zero`).isCharacterDevice());
  const refused = (device: Device, message: RegExp) =>
    assert.rejects(bench.create(['true'], { linux: { devices: [device] } }), { message });
  await refused(
    { path: '/srv/zero', type: 'c', major: 1, minor: 3 },
    /making the device \/srv\/zero: something else is at/,
  );
  await refused({ path: '/dev/x', type: 'c' }, /\/dev\/x: it needs major and minor/);
});

test('sysctls of the container’s namespaces only', async () => {
  await using bench = new Workbench();
  const out = await bench.shell('cat /proc/sys/net/ipv4/conf/lo/rp_filter /proc/sys/fs/mqueue/msg_max', {
    linux: { sysctl: { 'net/ipv4/conf/lo/rp_filter': '2', 'fs.mqueue.msg_max': '11' } },
  });
  assert.equal(out, '2\n11\n');
  const refused = (sysctl: Record<string, string>, path?: string) =>
    assert.rejects(
      bench.create(['true'], {
        linux: {
          namespaces: [
            { type: 'mount' },
            { type: 'uts' },
            ...(path === undefined ? [] : [{ type: 'network' as const, path }]),
          ],
          sysctl,
        },
      }),
      { kind: 'invalid', message: /not of a namespace that this container has/ },
    );
  await refused({ 'net.ipv4.ip_forward': '1' });
  await refused({ 'net.ipv4.ip_forward': '1' }, '/proc/self/ns/net');
  await refused({ 'kernel.shmmax': '1' });
  await refused({ 'vm.swappiness': '1' });
});
