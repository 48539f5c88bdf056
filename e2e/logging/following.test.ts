import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { commandsOf } from '../harness/commands.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';

const upTo = (count: number) => Array.from({ length: count }, (_, index) => String(index + 1));

describe('logs, over rotations and restarts', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  const { ok } = commandsOf((args) => engine.gantry(args));
  const small = ['--log-opt', 'max-size=20k', '--log-opt', 'max-file=200'];

  test('-f gives every line once and in order while the log rotates', async () => {
    await ok('run', '-d', '-i', '--name', 'turning', ...small, 'busybox', 'sh', '-c', 'read -r _; seq 1 20000');
    const following = [
      ok('logs', '-f', 'turning'),
      ok('logs', '-f', '--tail', '5', 'turning'),
      ok('logs', '-f', '-t', 'turning'),
    ];
    await engine.gantry(['attach', 'turning'], { input: 'go\n' });
    const [all = '', tail = '', timed = ''] = await Promise.all(following);
    assert.deepEqual(all.split('\n'), upTo(20_000));
    // How much was there when it began is not known; what it gives is whole from there.
    const count = tail.split('\n').length;
    assert.ok(count >= 5);
    assert.deepEqual(tail.split('\n'), upTo(20_000).slice(-count));
    assert.deepEqual(
      timed.split('\n').map((line) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (\d+)$/.exec(line)?.[1]),
      upTo(20_000),
    );
  });

  test('--tail, --since, --until and their ends cut exactly, across rotated files', async () => {
    const lines = (await ok('logs', '-t', 'turning')).split('\n').map((line) => line.split(' ') as [string, string]);
    assert.deepEqual((await ok('logs', '--tail', '2500', 'turning')).split('\n'), upTo(20_000).slice(-2500));
    assert.equal(await ok('logs', '--tail', '0', 'turning'), '');
    const [from = ''] = lines[7000] ?? [];
    const [to = ''] = lines[12_000] ?? [];
    const wanted = lines.filter(([time]) => Date.parse(time) >= Date.parse(from) && Date.parse(time) <= Date.parse(to));
    assert.deepEqual(
      (await ok('logs', '--since', from, '--until', to, 'turning')).split('\n'),
      wanted.map(([, number]) => number),
    );
  });

  test('-f ends at --until although the container goes on', async () => {
    await ok('run', '-d', '--name', 'endless', 'busybox', 'sh', '-c', 'while :; do echo tick; sleep 0.05; done');
    const soon = new Date(Date.now() + 700).toISOString();
    const heard = await ok('logs', '-f', '-t', '--until', soon, 'endless');
    for (const line of heard.split('\n')) assert.ok(Date.parse(line.split(' ')[0] ?? '') <= Date.parse(soon), line);
    assert.match(heard, /tick/);
    await ok('rm', '-f', 'endless');
  });

  test('nothing is lost when the daemon is killed under a container that speaks', async () => {
    const script = 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; [ $((i%100)) -ne 0 ] || sleep 0.03; done';
    await ok('run', '-d', '--name', 'through', ...small, 'busybox', 'sh', '-c', script);
    await until(async () => (/^500$/m.test(await ok('logs', 'through')) ? true : undefined));
    await engine.kill('SIGKILL');
    await engine.restart();
    assert.deepEqual((await ok('logs', '-f', 'through')).split('\n'), upTo(3000));
  });

  test('a container that writes as fast as it can is never blocked, and the daemon’s memory stays as it is', async () => {
    await ok(
      'run',
      '-d',
      '--name',
      'flood',
      '--log-opt',
      'max-size=1m',
      '--log-opt',
      'max-file=2',
      'busybox',
      'yes',
      'x'.repeat(200),
    );
    const memory = () =>
      Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${engine.pid()}/status`, 'utf8'))?.[1]) / 1024;
    const { Pid } = JSON.parse(await ok('inspect', 'flood'))[0].State;
    const written = () => Number(/^wchar: (\d+)/m.exec(readFileSync(`/proc/${Pid}/io`, 'utf8'))?.[1]);
    // Followers that take nothing and an attachment that takes nothing are let wait; the container is not.
    const controller = new AbortController();
    const idle = ['logs?follow=1&stdout=1', 'logs?follow=1&stdout=1&tail=1'].map((path) =>
      openAndStall(engine, `/containers/flood/${path}`, controller.signal),
    );
    await Promise.all(idle);
    const before = { memory: memory(), written: written() };
    await until(() => (written() > before.written + 64 * 1024 * 1024 ? true : undefined), 60_000);
    assert.ok(memory() - before.memory < 64, `${before.memory} MiB became ${memory()} MiB`);
    assert.match(await ok('logs', '--tail', '1', 'flood'), /^x+$/);
    controller.abort();
    await ok('rm', '-f', 'flood');
  });
});

/** Asks, and reads no more than the head. */
async function openAndStall(engine: Engine, path: string, signal: AbortSignal): Promise<void> {
  await new Promise<void>((done, fail) => {
    const asked = request({ socketPath: engine.host.slice('unix://'.length), path, signal }, (response) => {
      response.pause();
      response.on('error', () => undefined); // aborted at the end
      done();
    });
    asked.on('error', (error) => (signal.aborted ? undefined : fail(error)));
    asked.end();
  });
}
