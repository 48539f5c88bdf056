import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { reasonToSkip } from '../harness/oci-runtimes.ts';
import { control, workbench } from './workbench.ts';

const path = '/usr/sbin/runc';

describe('the same options with runc', { skip: reasonToSkip(path) }, () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine(['--add-runtime', `other=${path}`]);
  });
  after(() => engine[Symbol.asyncDispose]());
  const { ok, inside } = workbench(() => engine);
  const other = ['--runtime', 'other'];

  test('limits, devices, ulimits, sysctls, seccomp and privileges', async () => {
    const flags = [...other, '-m', '64m', '--device', '/dev/zero:/dev/z:r', '--ulimit', 'nofile=50'];
    const script = `${control('memory/memory.limit_in_bytes', 'memory.max')}; head -c3 /dev/z | wc -c; ulimit -n`;
    assert.equal(await inside(flags, script), `${64 << 20}\n3\n50\n`);
    const open = ['--security-opt', 'seccomp=unconfined', '--sysctl', 'net.core.somaxconn=7'];
    assert.match(
      await inside([...other, ...open], 'cat /proc/self/status /proc/sys/net/core/somaxconn'),
      /^Seccomp:\s*0$[\s\S]*^7$/m,
    );
    assert.match(await inside([...other, '--privileged'], 'ls /dev'), /^kmsg$/m);
  });

  test('namespaces and shared memory of another container, update, exec and stats', async () => {
    const keep = 'echo shared > /dev/shm/note; exec sleep 1000';
    await ok('run', '-d', ...other, '--name', 'donor', '--ipc', 'shareable', 'busybox', 'sh', '-c', keep);
    const joined = [...other, '--pid', 'container:donor', '--ipc', 'container:donor'];
    assert.equal(await inside(joined, 'cat /dev/shm/note /proc/1/comm'), 'shared\nsleep\n');
    await ok('update', '--pids-limit', '9', 'donor');
    const pids = control('pids/pids.max', 'pids.max');
    assert.equal(await ok('exec', '--privileged', 'donor', 'sh', '-c', pids), '9\n');
    assert.match(await ok('stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}}', 'donor'), /^donor 1$/m);
    await ok('rm', '-f', 'donor');
  });
});
