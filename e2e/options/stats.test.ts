import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { workbench } from './workbench.ts';

interface Cpu {
  readonly cpu_usage: { readonly total_usage: number; readonly usage_in_usermode: number };
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
}

interface Reading {
  readonly name: string;
  readonly read: string;
  readonly preread: string;
  readonly cpu_stats: Cpu;
  readonly precpu_stats: Cpu;
  readonly memory_stats: { readonly usage?: number; readonly limit?: number; readonly stats?: Record<string, number> };
  readonly pids_stats: { readonly current?: number; readonly limit?: number };
  readonly blkio_stats: { readonly io_service_bytes_recursive?: readonly { readonly op: string }[] };
  readonly networks?: Record<string, { readonly rx_bytes: number; readonly tx_packets: number }>;
}

describe('stats', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
    const busy = 'dd if=/dev/zero of=/file bs=64k count=16 conv=fsync 2>/dev/null; while :; do :; done';
    await ok('run', '-d', '--name', 'busy', '-m', '64m', '--pids-limit', '20', 'busybox', 'sh', '-c', busy);
    await ok('run', '-d', '--name', 'quiet', '--network', 'host', 'busybox', 'sleep', '1000');
    await ok('create', '--name', 'resting', 'busybox', 'true');
  });
  after(() => engine[Symbol.asyncDispose]());
  const { ok, docker } = workbench(() => engine);
  const once = async (name: string) =>
    (await engine.api('GET', `/containers/${name}/stats?stream=0&one-shot=1`)).body as Reading;

  test('one reading has processors, memory, processes, disks and the container\u2019s own network', async () => {
    await ok('exec', 'busy', 'ping', '-c', '1', '-W', '1', '127.0.0.1');
    const reading = await once('busy');
    assert.equal(reading.name, '/busy');
    assert.ok(reading.cpu_stats.cpu_usage.total_usage > 0);
    assert.ok((reading.cpu_stats.system_cpu_usage ?? 0) > 0 && (reading.cpu_stats.online_cpus ?? 0) > 0);
    assert.equal(reading.memory_stats.limit, 64 << 20);
    assert.ok((reading.memory_stats.usage ?? 0) > 0 && Object.keys(reading.memory_stats.stats ?? {}).length > 10);
    assert.deepEqual([reading.pids_stats.current, reading.pids_stats.limit], [1, 20]);
    assert.ok(Array.isArray(reading.blkio_stats.io_service_bytes_recursive));
    assert.deepEqual(Object.keys(reading.networks ?? {}), ['eth0']);
    assert.equal((await once('quiet')).networks, undefined, 'the host\u2019s network is not the container\u2019s');
    const resting = await once('resting');
    assert.deepEqual([resting.read, resting.pids_stats], ['0001-01-01T00:00:00Z', {}]);
  });

  test('a stream brings a reading a second, each with the one before it', async () => {
    const socketPath = engine.host.slice('unix://'.length);
    const readings = await new Promise<readonly Reading[]>((done, fail) => {
      let text = '';
      const outgoing = request({ socketPath, path: '/v1.48/containers/busy/stats' }, (response) => {
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString('utf8');
          const lines = text.split('\n').slice(0, -1);
          if (lines.length < 2) return;
          outgoing.destroy();
          done(lines.map((line) => JSON.parse(line) as Reading));
        });
      });
      outgoing.once('error', fail);
      outgoing.end();
    });
    const [first, second] = readings;
    assert.equal(second?.preread, first?.read);
    assert.deepEqual(second?.precpu_stats, first?.cpu_stats);
    assert.ok((second?.cpu_stats.cpu_usage.total_usage ?? 0) > (first?.cpu_stats.cpu_usage.total_usage ?? 0));
  });

  test('gantry stats and docker stats show a table of it', async () => {
    const row =
      /^\w{12}\s+busy\s+[1-9]\d*\.\d\d%\s+[\d.]+[KM]iB \/ 64MiB\s+[\d.]+%\s+[\d.]+k?B \/ [\d.]+k?B\s+\S+B \/ \S+B\s+1$/m;
    assert.match(await ok('stats', '--no-stream', 'busy', 'quiet'), row);
    assert.match((await docker('stats', '--no-stream', 'busy', 'quiet')).replace(/\s+$/gm, ''), row);
    assert.match(await ok('stats', '--no-stream', '--format', '{{.Name}}={{.PIDs}}', 'quiet'), /^quiet=1$/m);
  });

  test('top takes ps\u2019s list of columns', async () => {
    assert.match(
      await ok('top', 'quiet', '-o', 'pid,comm,args'),
      /^PID\s+COMMAND\s+COMMAND\n\d+\s+sleep\s+sleep 1000$/m,
    );
    assert.match(await docker('top', 'quiet', '-o', 'pid,comm'), /^\d+\s+sleep\s*$/m);
  });
});
