import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DriverName } from '#snapshots/index.ts';
import { startRegistry } from './registry-server.ts';
import { publish, sampleLayer } from './sample-image.ts';
import { seededRandom } from './seeded-random.ts';
import { openStore } from './store.ts';

/** `GANTRY_TEST_KILLS=200 npm test -- e2e/images/kill.test.ts` kills so often on each driver; the test command has time for fewer. */
const kills = Number(process.env.GANTRY_TEST_KILLS ?? 12);
const program = fileURLToPath(new URL('./busy-store.ts', import.meta.url));
const noise = (seed: number, bytes: number) => {
  const random = seededRandom(seed);
  return Buffer.from(Array.from({ length: bytes }, () => random() * 256));
};

/** Runs the busy store until `milliseconds` after it opened its files; what it told. */
async function killed(
  root: string,
  driver: DriverName,
  registry: string,
  seed: number,
  milliseconds: number,
): Promise<readonly string[]> {
  const child = spawn(process.execPath, [program, root, driver, registry, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const gone = once(child, 'close');
  const begun = Promise.withResolvers<void>();
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line);
    begun.resolve();
  });
  await Promise.race([begun.promise, gone]);
  await Promise.race([delay(milliseconds), gone]);
  assert.equal(child.exitCode, null, `seed ${seed}: the store ended by itself`);
  child.kill('SIGKILL');
  await gone;
  return lines;
}

for (const driver of ['overlay2', 'erofs'] as const)
  test(`a store on ${driver} that is killed ${kills} times while it pulls, loads, imports and removes loses nothing`, async () => {
    await using server = await startRegistry();
    const layer = (n: number) => sampleLayer({ [`file-${n}`]: noise(n, 300_000), [`d${n}/small`]: `${n}` });
    const shared = await layer(1);
    publish(server, 'ana/one', 'v1', [shared, await layer(2)]);
    publish(server, 'ana/two', 'v1', [shared, await layer(3)]);
    publish(server, 'ana/three', 'v1', [await layer(4)]);
    // Large enough for a worker thread, and for its beginning to be kept.
    publish(server, 'ana/large', 'v1', [await sampleLayer({ large: noise(5, 3_000_000) })]);
    const root = mkdtempSync(`${tmpdir()}/gantry-images-kill-`);
    try {
      mkdirSync(`${root}/archives`);
      for (const name of ['one', 'three']) {
        await using maker = await openStore({ driver });
        await maker.images.pull(`${server.host}/ana/${name}:v1`, {});
        await maker.images.tag(`${server.host}/ana/${name}:v1`, `loaded-${name}`);
        const archive = await (await maker.images.save([`loaded-${name}`])).toArray();
        await writeFile(`${root}/archives/${name}.tar`, Buffer.concat(archive as Buffer[]));
      }
      const random = seededRandom(6);
      /** Name → id of what was acknowledged; one that was being removed may be there or not. */
      const known = new Map<string, string>();
      for (let seed = 1; seed <= kills; seed++) {
        const milliseconds = Math.floor(random() ** 2 * 400);
        const unsure = new Set<string>();
        const moving = new Set<string>();
        for (const line of await killed(root, driver, server.host, seed, milliseconds)) {
          const [sign, name = '', id = ''] = line.split(' ');
          if (sign === '?') unsure.add(name);
          if (sign === '~') moving.add(name);
          if (sign === '+') moving.delete(name);
          if (sign === '-') known.delete(name);
          if (sign === '+') known.set(name, id);
        }
        const store = await openStore({ root, driver });
        const { problems } = await store.images.check({});
        assert.deepEqual(problems, [], `seed ${seed}, killed after ${milliseconds} ms`);
        const staged = store.staged().filter((name) => !name.startsWith('partial-'));
        assert.deepEqual(staged, [], `seed ${seed}: only the beginnings of layers are staged`);
        const held = new Map(
          (await store.images.list()).flatMap(({ id, tags }) => tags.map((tag) => [tag, id] as const)),
        );
        for (const [name, id] of known)
          if (!unsure.has(name))
            assert.equal(
              held.get(name),
              moving.has(name) ? (held.get(name) ?? id) : id,
              `seed ${seed}: ${name} is lost`,
            );
        known.clear();
        for (const [name, id] of held) known.set(name, id);
        store.close();
      }
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });

test('what is pulled while others remove and prune is whole when the pull is done', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const one = await sampleLayer({ one: noise(1, 100_000) });
  const two = await sampleLayer({ two: noise(2, 100_000) });
  publish(server, 'ana/one', 'v1', [one, two]);
  publish(server, 'ana/two', 'v1', [one]);
  const names = [`${server.host}/ana/one:v1`, `${server.host}/ana/two:v1`];
  const random = seededRandom(7);
  const { images } = store;
  let busy = true;
  const removing = (async () => {
    while (busy) {
      const name = names[Math.floor(random() * 2)] ?? '';
      await images.remove(name, { force: true }).catch((error: { kind?: string }) => {
        if (error.kind !== 'not-found') throw error;
      });
      await images.prune({ all: random() < 0.3 });
      await new Promise(setImmediate);
    }
  })();
  for (let round = 0; round < 60; round++) {
    const pulled = await Promise.allSettled(names.map((name) => images.pull(name, {})));
    // Between the last row and the answer it may be removed: it was there.
    for (const result of pulled)
      if (result.status === 'rejected') assert.equal((result.reason as { kind?: string }).kind, 'not-found');
  }
  busy = false;
  await removing;
  assert.deepEqual((await images.check({})).problems, []);
  await images.prune({ all: true });
  assert.deepEqual([await store.blobs(), await store.layers(), store.staged()], [[], [], []]);
});

test('what is held is not taken by an rmi, and goes when it is held no more', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const layer = await sampleLayer({ a: 'a' });
  const { chainIds } = publish(server, 'ana/one', 'v1', [layer]);
  const image = await store.images.pull(`${server.host}/ana/one:v1`, {});
  const held = await store.images.hold(image);
  await store.images.remove(image.id, { force: true });
  assert.deepEqual(await store.images.list(), []);
  assert.deepEqual([await store.layers(), (await store.blobs()).length], [chainIds, 3]);
  await store.driver.createDiff('gantry-test', image.chainId); // what a build does with its base
  await store.driver.removeDiff('gantry-test');
  await held[Symbol.asyncDispose]();
  assert.deepEqual([await store.layers(), await store.blobs()], [[], []]);
  await assert.rejects(store.images.hold(image), { kind: 'not-found' });
});
