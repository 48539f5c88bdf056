import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { finish, Workbench } from './workbench.ts';

test('a container ends with its command’s code, or 128 and the signal', async () => {
  await using bench = new Workbench();
  assert.equal((await bench.run(['true'])).code, 0);
  assert.equal((await bench.run(['sh', '-c', 'exit 42'])).code, 42);
  const task = await bench.create(['sleep', '60']);
  await task.start();
  await task.kill(9);
  const status = await task.wait();
  assert.deepEqual({ code: status.code, signal: status.signal, oom: status.oom }, { code: 137, signal: 9, oom: false });
  assert.ok(Math.abs(Date.now() - status.at.getTime()) < 60_000);
  await assert.rejects(task.kill(15), { kind: 'conflict' });
});

test('start says 127 for a command that is not there and 126 for one that cannot be run', async () => {
  await using bench = new Workbench();
  writeFileSync(`${bench.rootfs}/bin/plain`, 'no program', { mode: 0o644 });
  writeFileSync(`${bench.rootfs}/bin/garbage`, 'no program', { mode: 0o755 });
  writeFileSync(`${bench.rootfs}/bin/lost`, '#!/no/interpreter\n', { mode: 0o755 });
  chmodSync(`${bench.rootfs}/bin/plain`, 0o644);
  const cases = [
    {
      command: 'nope',
      code: 'command-not-found',
      exit: 127,
      message: 'exec: "nope": executable file not found in $PATH',
    },
    {
      command: '/no/pe',
      code: 'command-not-found',
      exit: 127,
      message: 'exec: "/no/pe": stat /no/pe: no such file or directory',
    },
    {
      command: '/bin/lost',
      code: 'command-not-found',
      exit: 127,
      message: /^exec \/bin\/lost: no such file or directory/,
    },
    {
      command: '/bin/plain',
      code: 'command-not-executable',
      exit: 126,
      message: 'exec: "/bin/plain": permission denied',
    },
    { command: 'plain', code: 'command-not-executable', exit: 126, message: 'exec: "plain": permission denied' },
    { command: '/etc', code: 'command-not-executable', exit: 126, message: 'exec: "/etc": is a directory' },
    {
      command: '/bin/garbage',
      code: 'command-not-executable',
      exit: 126,
      message: 'exec /bin/garbage: exec format error',
    },
  ];
  for (const init of [false, true])
    for (const { command, code, exit, message } of cases) {
      if (init && command === '/bin/garbage') continue; // execvp(3) gives it to a shell, as tini does
      const task = await bench.create([command], { init });
      await assert.rejects(task.start(), { code, message }, `${command}, init ${init}`);
      assert.equal((await task.wait()).code, exit, command);
      await task.delete();
    }
});

test('create names what it could not do, and leaves nothing', async () => {
  await using bench = new Workbench();
  const missing = `${bench.directory}/missing`;
  await assert.rejects(
    bench.create(['true'], { mounts: [{ destination: '/data', type: 'bind', source: missing, options: ['rbind'] }] }),
    { message: `mounting ${missing} at /data (${missing}): no such file or directory (ENOENT)` },
  );
  await assert.rejects(
    bench.create(['true'], { process: { rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 2 ** 30 }] } }),
    {
      kind: 'forbidden',
      message: /^setting RLIMIT_NOFILE to 1024:1073741824: the hard limit is above/,
    },
  );
  await assert.rejects(bench.create(['true'], { linux: { sysctl: { 'kernel.panic': '1' } } }), {
    kind: 'invalid',
    message: /kernel\.panic/,
  });
  await assert.rejects(bench.create(['true'], { linux: { namespaces: [{ type: 'user' }, { type: 'mount' }] } }), {
    kind: 'invalid',
  });
  await assert.rejects(bench.create(['true'], { process: { cwd: '/etc/passwd' } }), {
    message: /making the working directory \(\/etc\/passwd\)/,
  });
  await assert.rejects(
    bench.create(['true'], { rootfs: [{ destination: '/', type: 'overlay', options: [`lowerdir=${missing}`] }] }),
    { message: /^mounting the root filesystem \(overlay\)/ },
  );
});

test('a command of the image is found in the container’s PATH, as its user', async () => {
  await using bench = new Workbench();
  writeFileSync(`${bench.rootfs}/usr/bin/tool`, '#!/bin/sh\necho "$0 $*"\n', { mode: 0o755 });
  const task = await bench.create(['tool', 'a b']);
  assert.deepEqual(await finish(task), { code: 0, stdout: '/usr/bin/tool a b\n', stderr: '' });
});
