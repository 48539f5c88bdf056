import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Mount } from '#oci/index.ts';
import { defaultSeccompProfile } from '#runtime/index.ts';
import { capabilities, outputUntil, Workbench } from './workbench.ts';

const bind = (source: string, destination: string, ...options: readonly string[]): Mount => ({
  destination,
  type: 'bind',
  source,
  options: ['rbind', 'rprivate', ...options],
});

test('binds of files and directories, made where missing, read-only where asked', async () => {
  await using bench = new Workbench();
  const source = `${bench.directory}/source`;
  mkdirSync(`${source}/below`, { recursive: true });
  writeFileSync(`${source}/file`, 'content');
  const script =
    'cat /a/b/c/file /etc/new.conf; echo w > /a/b/c/written; (echo w > /ro/written) 2>&1; (echo w > /rro/below/written) 2>&1; true';
  const out = await bench.shell(script, {
    mounts: [
      bind(source, '/a/b/c'),
      bind(`${source}/file`, '/etc/new.conf'),
      bind(source, '/ro', 'ro'),
      bind(source, '/rro', 'rro'),
    ],
  });
  assert.match(out, /^contentcontent.*Read-only file system\n.*Read-only file system\n$/s);
  assert.equal(readFileSync(`${source}/written`, 'utf8'), 'w\n');
});

test('a destination through links of the image stays inside the root', async () => {
  await using bench = new Workbench();
  const outside = `${bench.directory}/outside`;
  const source = `${bench.directory}/source`;
  mkdirSync(outside);
  mkdirSync(source);
  writeFileSync(`${source}/mine`, 'mine');
  symlinkSync(outside, `${bench.rootfs}/absolute`);
  symlinkSync('../../../../../../../..', `${bench.rootfs}/climb`);
  symlinkSync('/run/made/resolv.conf', `${bench.rootfs}/etc/resolv.conf`);
  const out = await bench.shell(`cat /absolute/x/mine /climb${outside}/y/mine /etc/resolv.conf /run/made/resolv.conf`, {
    mounts: [
      bind(source, '/absolute/x'),
      bind(source, `/climb${outside}/y`),
      bind(`${source}/mine`, '/etc/resolv.conf'),
    ],
  });
  assert.equal(out, 'mine'.repeat(4));
  assert.deepEqual(readdirSync(outside), []);
  assert.ok(existsSync(`${bench.rootfs}${outside}/x`));
});

test('a /proc that is a link in the image is refused', async () => {
  await using bench = new Workbench();
  symlinkSync('/etc', `${bench.rootfs}/proc`);
  await assert.rejects(bench.create(['true']), { message: /^mounting proc at \/proc/ });
});

test('a working directory that leads out of the root through /proc is refused', async () => {
  await using bench = new Workbench();
  for (const cwd of ['/proc/self/fd/3', '/proc/self/fd/7', '/proc/1/root'])
    await assert.rejects(bench.create(['true'], { process: { cwd } }), Error, cwd);
});

test('an overlay is mounted inside only: many layers with long paths, a writable top', async () => {
  await using bench = new Workbench();
  const layers = Array.from({ length: 60 }, (_, n) => `${bench.directory}/layers/${'long-name-'.repeat(12)}${n}`);
  for (const [n, layer] of layers.entries()) {
    mkdirSync(`${layer}/data`, { recursive: true });
    writeFileSync(`${layer}/data/${n}`, '');
    writeFileSync(`${layer}/top`, String(n));
  }
  for (const name of ['upper', 'work']) mkdirSync(`${bench.directory}/${name}`);
  const overlay: Mount = {
    destination: '/',
    type: 'overlay',
    source: 'overlay',
    options: [
      `lowerdir=${[...layers, bench.rootfs].join(':')}`,
      `upperdir=${bench.directory}/upper`,
      `workdir=${bench.directory}/work`,
    ],
  };
  assert.equal(
    await bench.shell('ls /data | wc -l; cat /top; echo changed > /top; rm /data/3', { rootfs: [overlay] }),
    '60\n0',
  );
  assert.equal(readFileSync(`${bench.directory}/upper/top`, 'utf8'), 'changed\n');
});

test('mounts of the container end with it, and tmpfs takes its options', async () => {
  await using bench = new Workbench();
  const out = await bench.shell(
    'grep " /scratch " /proc/mounts; df -k /scratch | tail -1 | awk "{print \\$2}"; touch /scratch/x; stat -c %a /scratch',
    {
      mounts: [
        {
          destination: '/scratch',
          type: 'tmpfs',
          source: 'tmpfs',
          options: ['nosuid', 'nodev', 'noexec', 'size=1m', 'mode=1700'],
        },
      ],
    },
  );
  assert.match(out, /^tmpfs \/scratch tmpfs rw,nosuid,nodev,noexec,.*\n1024\n1700\n$/s);
});

test('a slave bind sees mounts that the host makes later; a shared one passes its own back', async () => {
  await using bench = new Workbench();
  const source = `${bench.directory}/shared`;
  mkdirSync(`${source}/below`, { recursive: true });
  mkdirSync(`${source}/back`);
  const mount = (...args: readonly string[]) => execFileSync('mount', args);
  mount('--bind', source, source);
  try {
    mount('--make-shared', source);
    const shared = (how: string) => ({ destination: `/${how}`, type: 'bind', source, options: ['rbind', how] });
    const admin = [...capabilities, 'CAP_SYS_ADMIN'];
    const task = await bench.create(
      ['sh', '-c', 'mount -t tmpfs gantry-back /rshared/back; read x; ls /rslave/below /rshared/below'],
      {
        mounts: [shared('rslave'), shared('rshared')],
        process: { capabilities: { bounding: admin, effective: admin, permitted: admin } },
        linux: { seccomp: defaultSeccompProfile(admin) },
        stdio: { stdin: true, stdinOnce: true },
      },
    );
    const io = await task.attach();
    await task.start();
    while (!readFileSync('/proc/self/mountinfo', 'utf8').includes(`${source}/back`)) await delay(5);
    mount('-t', 'tmpfs', 'gantry-below', `${source}/below`);
    writeFileSync(`${source}/below/later`, '');
    io.stdin.end('go\n');
    const seen = await outputUntil(io.output[Symbol.asyncIterator](), '/rslave/below:\nlater\n');
    assert.match(seen, /\/rshared\/below:\nlater\n/);
    assert.equal((await task.wait()).code, 0);
    await io[Symbol.asyncDispose]();
  } finally {
    execFileSync('umount', ['-R', source]);
  }
});

test('mount options that no filesystem takes are named', async () => {
  await using bench = new Workbench();
  await assert.rejects(
    bench.create(['true'], { mounts: [{ destination: '/x', type: 'tmpfs', source: 'tmpfs', options: ['iversion'] }] }),
    { kind: 'unsupported', message: /iversion/ },
  );
  await assert.rejects(
    bench.create(['true'], {
      mounts: [{ destination: '/x', type: 'tmpfs', source: 'tmpfs', options: ['colour=blue'] }],
    }),
    { message: /^mounting tmpfs at \/x .*colour/ },
  );
});
