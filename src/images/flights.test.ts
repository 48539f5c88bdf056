import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFlights } from './flights.ts';
import { createTurns } from './turns.ts';

test('createFlights does the work once, tells late comers the latest, and aborts when the last has left', async () => {
  const join = createFlights<string>();
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  let aborted = false;
  const work = async (emit: (event: string) => void, signal: AbortSignal) => {
    runs++;
    signal.addEventListener('abort', () => {
      aborted = true;
      gate.resolve();
    });
    emit('begun');
    await gate.promise;
  };
  const [one, two] = [new AbortController(), new AbortController()];
  const heard: string[] = [];
  const first = join('layer', work, (event) => heard.push(`first ${event}`), one.signal);
  await new Promise(setImmediate);
  const second = join('layer', work, (event) => heard.push(`second ${event}`), two.signal);
  assert.deepEqual(heard, ['first begun', 'second begun']);
  one.abort();
  await assert.rejects(first.done, { kind: 'cancelled' });
  assert.equal(aborted, false);
  two.abort();
  await assert.rejects(second.done, { kind: 'cancelled' });
  assert.deepEqual([runs, aborted], [1, true]);
});

test('createTurns serves in order, and who gives up waiting takes no place', async () => {
  const turns = createTurns(1);
  const leave = await turns.enter();
  const impatient = new AbortController();
  const given = turns.enter(impatient.signal);
  const next = turns.enter();
  impatient.abort();
  await assert.rejects(given, { kind: 'cancelled' });
  leave();
  (await next)();
  assert.equal(turns.idle(), true);
});
