import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { gantryProgram, until } from '../harness/program.ts';
import { contextFolder } from './context-folder.ts';

let engine: Engine;
before(async () => {
  engine = await startEngine();
});
after(() => engine[Symbol.asyncDispose]());

/** Whether a process of the host has just these arguments. */
const runs = (...words: readonly string[]): boolean =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `${words.join('\0')}\0`;
      } catch {
        return false; // it ended meanwhile
      }
    });
/** How long a step sleeps: a number that no other process of the host has. */
const long = (nth: number): string => String(10_000_000 + process.pid * 10 + nth);
const gone = (seconds: string) => until(() => (runs('sleep', seconds) ? undefined : true));

/** Begins a build whose step sleeps, and waits until it does. */
async function begin(seconds: string) {
  const context = contextFolder(engine, { Dockerfile: `FROM busybox\nRUN exec sleep ${seconds}\n` });
  const child = spawn(gantryProgram, ['build', '--progress=plain', context], {
    env: { ...process.env, ...engine.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = Promise.withResolvers<number | NodeJS.Signals>();
  child.once('close', (code, signal) => ended.resolve(code ?? signal ?? 0));
  child.stderr.resume();
  await until(() => (runs('sleep', seconds) ? true : undefined));
  return { child, ended: ended.promise };
}

test('a step ends with the client that asked for it, however that goes, and the next build begins anew', async () => {
  for (const [at, signal] of (['SIGINT', 'SIGTERM', 'SIGKILL'] as const).entries()) {
    const seconds = long(at);
    const { child, ended } = await begin(seconds);
    child.kill(signal);
    assert.notEqual(await ended, 0, signal);
    await gone(seconds);
  }
  const context = contextFolder(engine, { Dockerfile: 'FROM busybox\nRUN echo again\n' });
  assert.equal((await engine.gantry(['build', '-q', context])).code, 0);
});

test('a step does not outlive a daemon that is killed beyond the next one, which builds', async () => {
  const seconds = long(9);
  const { ended } = await begin(seconds);
  await engine.kill('SIGKILL');
  assert.notEqual(await ended, 0);
  await engine.restart();
  await gone(seconds);
  const context = contextFolder(engine, { Dockerfile: 'FROM busybox\nRUN echo and again\n' });
  assert.equal((await engine.gantry(['build', '-q', context])).code, 0);
  assert.match((await engine.gantry(['system', 'check'])).stdout, /0 problems|no problem|nothing/i);
});
