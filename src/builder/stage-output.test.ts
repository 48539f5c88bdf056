import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildEvent } from './builder.ts';
import { orderStages } from './stage-output.ts';

function recorder() {
  const said: string[] = [];
  return { said, emit: (event: BuildEvent) => void ('stream' in event && said.push(event.stream)) };
}

test('orderStages: stages that run at once read one after the other', () => {
  const { said, emit } = recorder();
  const output = orderStages([0, 2, 5], emit);
  const [a, b, c] = [output.stage(0), output.stage(2), output.stage(5)];
  c.text('c1 ');
  b.text('b1 ');
  a.text('a1 ');
  output.finish(5);
  b.text('b2 ');
  assert.equal(said.join(''), 'a1 ');
  output.finish(0);
  b.text('b3 ');
  assert.equal(said.join(''), 'a1 b1 b2 b3 ');
  output.finish(2);
  assert.equal(said.join(''), 'a1 b1 b2 b3 c1 ');
});

test('orderStages: a stage that fails is heard at once, and what waits is bounded', () => {
  const { said, emit } = recorder();
  const output = orderStages([0, 1], emit);
  for (let i = 0; i < 100; i++) output.stage(1).text('x'.repeat(100_000));
  output.stage(1).text('lost');
  output.fail(1, 'it failed');
  output.stage(0).text('silent');
  const text = said.join('');
  assert.ok(text.length < 1.1 * 1024 * 1024);
  assert.match(text, /is left out/);
  assert.doesNotMatch(text, /silent/);
});
