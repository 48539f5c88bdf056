import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Context, openWorkbench, type Workbench } from './workbench.ts';

let bench: Workbench;
before(async () => {
  bench = await openWorkbench();
});
after(() => bench[Symbol.asyncDispose]());

const Dockerfile = 'FROM busybox\nENV A=1\nCOPY src /src\nRUN cat /src/a > /out\nCMD ["x"]\n';
const file = (body: string, seconds: number, mode = 0o644): Context[string] => ({
  type: 'file',
  body,
  mode,
  mtime: { seconds, nanoseconds: 0 },
});

test('the same again is all cache and the same image; a touched file too, a changed one is not', async () => {
  const first = await bench.build({ Dockerfile, 'src/a': file('1', 1000) });
  assert.equal(first.ran.length, 1);
  const again = await bench.build({ Dockerfile, 'src/a': file('1', 1000) });
  assert.deepEqual([again.image.id, again.ran.length], [first.image.id, 0]);
  assert.equal(again.output.match(/ ---> Using cache\n/g)?.length, 4);
  const touched = await bench.build({ Dockerfile, 'src/a': file('1', 2000) });
  assert.deepEqual([touched.image.id, touched.ran.length], [first.image.id, 0]);
  const changed = await bench.build({ Dockerfile, 'src/a': file('2', 1000) });
  assert.equal(changed.ran.length, 1);
  await bench.look(changed.image, (root) => assert.equal(readFileSync(`${root}/out`, 'utf8'), '2'));
  const mode = await bench.build({ Dockerfile, 'src/a': file('1', 1000, 0o755) });
  assert.equal(mode.ran.length, 1);
});

test('what a step does not depend on does not run it again', async () => {
  const context = { 'src/a': file('1', 1000) };
  await bench.build({ ...context, Dockerfile });
  const label = await bench.build({ ...context, Dockerfile: Dockerfile.replace('COPY', 'LABEL new=1\nCOPY') });
  assert.equal(label.ran.length, 0);
  const other = await bench.build({ ...context, Dockerfile, 'other/file': 'x' });
  assert.equal(other.ran.length, 0);
  const env = await bench.build({ ...context, Dockerfile: Dockerfile.replace('A=1', 'A=2') });
  assert.equal(env.ran.length, 1);
});

test('an ARG is part of the key of the steps behind it, an undeclared proxy is not', async () => {
  const context = { Dockerfile: 'FROM busybox\nRUN true\nARG V=1\nRUN echo $V > /v\n' };
  const build = (buildArgs: Record<string, string>) => bench.build(context, { buildArgs });
  assert.equal((await build({})).ran.length, 2);
  assert.equal((await build({ HTTP_PROXY: 'x' })).ran.length, 0);
  const two = await build({ V: '2' });
  assert.equal(two.ran.length, 1);
  assert.equal(two.image.config.history?.at(-1)?.created_by, '|1 V=2 /bin/sh -c echo $V > /v');
  assert.equal((await build({ V: '1' })).ran.length, 0);
});

test('--no-cache runs all again, and what it made is what the next build finds', async () => {
  // Nothing but the run itself tells one run from another here.
  bench.steps.stamp = true;
  try {
    const context = {
      Dockerfile: 'FROM busybox AS a\nRUN echo $STAMP > /now\nFROM busybox\nCOPY --from=a /now /now\n',
    };
    const now = async (options: { noCache?: boolean }) => {
      const { image, ran } = await bench.build(context, options);
      return { ran: ran.length, text: await bench.look(image, (root) => readFileSync(`${root}/now`, 'utf8')) };
    };
    const first = await now({});
    assert.deepEqual(await now({}), { ran: 0, text: first.text });
    const fresh = await now({ noCache: true });
    assert.equal(fresh.ran, 1);
    assert.notEqual(fresh.text, first.text);
    assert.deepEqual(await now({}), { ran: 0, text: fresh.text });
  } finally {
    bench.steps.stamp = false;
  }
});

test('a cached layer that was removed with its image is made again', async () => {
  const context = { Dockerfile: 'FROM busybox\nRUN echo gone > /gone\n' };
  const { image } = await bench.build(context, { tags: ['gone'] });
  await bench.images.remove('gone', {});
  await assert.rejects(bench.images.get(image.id), { kind: 'not-found' });
  const again = await bench.build(context);
  assert.equal(again.image.layers.length, image.layers.length);
  await bench.look(again.image, (root) => assert.equal(readFileSync(`${root}/gone`, 'utf8'), 'gone\n'));
});

test('COPY --from is keyed by content: another way to the same file keeps what follows', async () => {
  const context = (how: string) => ({
    Dockerfile: `FROM busybox AS a\nRUN ${how} > /f\nFROM busybox\nCOPY --from=a /f /f\nRUN cat /f\n`,
  });
  assert.equal((await bench.build(context('echo x'))).ran.length, 2);
  assert.equal((await bench.build(context('printf "x\\n"'))).ran.length, 1);
});

test('layers that no image is made of go when they take too much, and are made again', async () => {
  await using small = await openWorkbench(undefined, { cacheBytes: 0 });
  const context = {
    Dockerfile: 'FROM busybox AS a\nRUN echo 1 > /f\nRUN echo 2 >> /f\nFROM busybox\nCOPY --from=a /f /f\n',
  };
  const layers = async () => (await Array.fromAsync(small.driver.layers())).length;
  const { image } = await small.build(context);
  assert.equal(await layers(), image.layers.length);
  const again = await small.build(context);
  assert.deepEqual([again.ran.length, again.image.chainId], [2, image.chainId]);
  await small.look(again.image, (root) => assert.equal(readFileSync(`${root}/f`, 'utf8'), '1\n2\n'));
});
