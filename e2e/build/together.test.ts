import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { isGantryError } from '#errors/index.ts';
import { openWorkbench, type Workbench } from './workbench.ts';

let bench: Workbench;
before(async () => {
  bench = await openWorkbench();
});
after(() => bench[Symbol.asyncDispose]());

test('builds that share steps, some of them cancelled, beside prunes and removals of what they make', async () => {
  /** Stages and layers that all builds of a round have in common. */
  const shared = (round: number) => ({
    Dockerfile: `FROM busybox AS tools
RUN echo ${round} > /tool
FROM busybox AS other
COPY --from=tools /tool /tool
FROM busybox
RUN echo ${round} > /round
COPY --from=other /tool /tool
COPY file /file
`,
    file: String(round),
  });
  let building = true;
  const outcomes = { made: 0, cancelled: 0 };
  const one = async (round: number, user: number) => {
    const stop = new AbortController();
    const tag = `together:${round}-${user}`;
    // Every third is cancelled, each somewhere else on its way.
    const steps = user % 3 === 2 ? (user * 7 + round * 5) % 12 : Number.POSITIVE_INFINITY;
    let said = 0;
    const onText = () => {
      if (++said > steps) stop.abort();
    };
    try {
      const { image } = await bench.build(shared(round), {
        tags: [tag],
        noCache: user === 4,
        signal: stop.signal,
        onText,
      });
      outcomes.made++;
      await bench.look(image, () => undefined);
      await bench.images.remove(tag, {});
    } catch (error) {
      if (!isGantryError(error, 'cancelled')) throw error;
      outcomes.cancelled++;
    }
  };
  const pruning = (async () => {
    while (building) {
      await bench.builder.prune({});
      await setImmediate();
    }
  })();
  try {
    for (let round = 0; round < 4; round++) await Promise.all(Array.from({ length: 6 }, (_, user) => one(round, user)));
  } finally {
    building = false;
    await pruning;
  }
  assert.equal(outcomes.made + outcomes.cancelled, 24);
  assert.ok(outcomes.made >= 16 && outcomes.cancelled > 0, JSON.stringify(outcomes));
  assert.deepEqual(await bench.leftovers(), []);
  await bench.builder.prune({});
  assert.deepEqual(await bench.builder.usage(), []);
  assert.deepEqual(await bench.images.check({ quick: true }).then(({ problems }) => problems), []);
  assert.equal((await Array.fromAsync(bench.driver.layers())).length, 1, 'only the base image is left');
});

test('what a build made before it failed, and what --no-cache left behind, is told of and pruned', async () => {
  const stages = (end: string) => ({
    Dockerfile: `FROM busybox AS a\nRUN echo ${end} > /a\nFROM busybox\nCOPY --from=a /a /a\n${end}\n`,
  });
  const layers = async () => (await bench.builder.usage()).length;
  await assert.rejects(bench.build(stages('RUN exit 3')), { code: 'step-failed' });
  assert.equal(await layers(), 2);
  bench.steps.stamp = true;
  try {
    const again = { Dockerfile: 'FROM busybox AS a\nRUN echo $STAMP > /a\nFROM busybox\nCOPY --from=a /a /b\n' };
    await bench.build(again, { tags: ['fresh'] });
    await bench.build(again, { tags: ['fresh'], noCache: true });
  } finally {
    bench.steps.stamp = false;
  }
  assert.equal(await layers(), 4);
  const removed = await bench.builder.prune({});
  assert.equal(removed.length, 4);
  assert.ok((await bench.images.check({})).problems.every(({ kind }) => kind !== 'layer'));
});
