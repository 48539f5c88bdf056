import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { Workbench } from './workbench.ts';

interface Line {
  readonly log: string;
  readonly stream: string;
  readonly time: string;
}
const lines = (path: string): readonly Line[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

test('the log has every line with its stream and time, and is JSON whatever the bytes', async () => {
  await using bench = new Workbench();
  const path = `${bench.directory}/a.log`;
  const script = String.raw`printf 'plain\n'; printf 'a"\\\t\001\r\n' >&2; printf 'bad \377\300\200 caf\303\251 \355\240\200\n'; printf 'no end'`;
  await bench.run(['sh', '-c', script], { stdio: { log: { path, maxBytes: 0, maxFiles: 1 } } });
  const found = lines(path);
  assert.deepEqual(
    found.filter(({ stream }) => stream === 'stdout').map(({ log }) => log),
    ['plain\n', 'bad \ufffd\ufffd\ufffd café \ufffd\ufffd\ufffd\n', 'no end'],
  );
  assert.deepEqual(
    found.filter(({ stream }) => stream === 'stderr').map(({ log }) => log),
    ['a"\\\t\u0001\r\n'],
  );
  for (const { time } of found) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
});

test('the log splits a line of more than 16 KiB, as Docker does', async () => {
  await using bench = new Workbench();
  const path = `${bench.directory}/a.log`;
  const script = 'head -c 40000 /dev/zero | tr "\\0" x; echo';
  await bench.run(['sh', '-c', script], { stdio: { log: { path, maxBytes: 0, maxFiles: 1 } } });
  const found = lines(path).map(({ log }) => log);
  assert.deepEqual(
    found.map((log) => log.length),
    [16384, 16384, 40000 - 2 * 16384 + 1],
  );
  assert.equal(found.join(''), `${'x'.repeat(40000)}\n`);
});

test('the log rotates at its size and keeps so many files, without losing a line among them', async () => {
  await using bench = new Workbench();
  const path = `${bench.directory}/a.log`;
  await bench.run(['seq', '1', '5000'], { stdio: { log: { path, maxBytes: 100_000, maxFiles: 3 } } });
  assert.ok(!existsSync(`${path}.3`));
  const files = [`${path}.2`, `${path}.1`, path];
  for (const file of files) assert.ok(statSync(file).size <= 100_000, file);
  const numbers = files.flatMap((file) => lines(file).map(({ log }) => Number(log)));
  assert.equal(numbers.at(-1), 5000);
  assert.deepEqual(
    numbers,
    Array.from({ length: numbers.length }, (_, i) => 5000 - numbers.length + 1 + i),
  );
});
