import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { startEngine } from '../harness/engine.ts';
import { gantryProgram, until } from '../harness/program.ts';
import { openFiles } from './traces.ts';

const idle = 300;
const attached = 50;
const followed = 20;

/** Does `act` for every number below `count`, eight at a time. */
async function forEach(count: number, act: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < count; i = next++) await act(i);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

/** A client of the engine that goes on: what it has printed so far. */
function follow(env: Readonly<Record<string, string>>, args: readonly string[]) {
  const child = spawn(gantryProgram, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
  });
  const ended = new Promise<number | null>((done) => child.once('close', done));
  return { input: child.stdin, output: () => output, ended, child };
}

test(`${idle} idle containers, ${attached} attached streams and ${followed} followed logs at once`, {
  timeout: 240_000,
}, async (t) => {
  await using engine = await startEngine();
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await engine.api(method, path, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  };
  const files = openFiles(engine.pid());
  const begun = Date.now();
  await forEach(idle, async (i) => {
    await call('POST', `/containers/create?name=gt-idle-${i}`, { Image: 'busybox', Cmd: ['sleep', '10000'] });
    await call('POST', `/containers/gt-idle-${i}/start`);
  });
  t.diagnostic(`${idle} containers after ${Date.now() - begun} ms`);
  const config = {
    Image: 'busybox',
    OpenStdin: true,
    StdinOnce: false,
    Cmd: ['sh', '-c', 'while read x; do echo "got $x"; done'],
  };
  await call('POST', '/containers/create?name=gt-echo', config);
  await call('POST', '/containers/gt-echo/start');

  const listening = Array.from({ length: attached }, () =>
    follow(engine.env, ['attach', '--sig-proxy=false', 'gt-echo']),
  );
  const following = Array.from({ length: followed }, () => follow(engine.env, ['logs', '-f', 'gt-echo']));
  const all = [...listening, ...following];
  // An attached stream has no beginning that can be asked for: lines go in until each has seen one.
  await until(async () => {
    listening[0]?.input.write('hello\n');
    return all.every(({ output }) => output().includes('got hello\n')) ? true : undefined;
  }, 60_000);
  // Each of the attached may type, and all hear it.
  for (const [i, { input }] of listening.entries()) input.write(`from ${i}\n`);
  await until(() => {
    const whole = (output: string) => listening.every((_, i) => output.includes(`got from ${i}\n`));
    return all.every(({ output }) => whole(output())) ? true : undefined;
  }, 60_000);
  assert.equal(((await call('GET', '/containers/json')) as unknown[]).length, idle + 1);
  t.diagnostic(`the daemon has ${openFiles(engine.pid())} files open`);

  await call('POST', '/containers/gt-echo/kill');
  assert.deepEqual(new Set(await Promise.all(listening.map(({ ended }) => ended))), new Set([137]));
  assert.deepEqual(new Set(await Promise.all(following.map(({ ended }) => ended))), new Set([0]));
  await forEach(idle, async (i) => {
    await call('DELETE', `/containers/gt-idle-${i}?force=1`);
  });
  assert.deepEqual(await call('GET', '/containers/json'), []);
  await until(() => (openFiles(engine.pid()) <= files + 5 ? true : undefined)).catch(() =>
    assert.fail(`the daemon has ${openFiles(engine.pid())} files open, ${files} at its start`),
  );
  t.diagnostic(`all gone after ${Date.now() - begun} ms`);
});
