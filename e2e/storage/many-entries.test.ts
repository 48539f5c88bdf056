import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { graphDrivers } from '#snapshots/index.ts';
import { encodeTarHeader, endOfArchive } from '#tar/index.ts';
import { chainOf, mounted } from '../../src/snapshots/graph-driver-suite.ts';

/** Headers of empty files in a thousand directories, made by changing the name and the checksum of one. */
function* manyFiles(count: number): Generator<Buffer> {
  const header = Buffer.from(encodeTarHeader({ name: 'd000/f000000', type: 'file', mode: 0o644 }));
  const sumWithout = (): number => {
    let sum = 8 * 0x20;
    for (const [at, byte] of header.entries()) if (at < 148 || at >= 156) sum += byte;
    return sum;
  };
  for (let first = 0; first < count; first += 2048) {
    const blocks: Buffer[] = [];
    for (let n = first; n < Math.min(count, first + 2048); n++) {
      header.write(`d${String(n % 1000).padStart(3, '0')}/f${String(n).padStart(6, '0')}`, 0, 'latin1');
      header.write(`${sumWithout().toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      blocks.push(Buffer.from(header));
    }
    yield Buffer.concat(blocks);
  }
  yield Buffer.from(endOfArchive);
}

test('a layer of a million entries takes some hundred megabytes and not a gigabyte', async (context) => {
  const root = mkdtempSync('/var/tmp/gantry-many-');
  try {
    await using driver = await graphDrivers.erofs({ root });
    const chain = chainOf('many');
    const before = process.memoryUsage.rss();
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss() - before);
    }, 50);
    const began = performance.now();
    const writer = await driver.prepareLayer(chain, undefined);
    await writer.unpack(
      (async function* () {
        yield* manyFiles(1_000_000);
      })(),
    );
    await writer.commit();
    clearInterval(watch);
    context.diagnostic(`${((performance.now() - began) / 1000).toFixed(1)} s, ${(most / 2 ** 20).toFixed(0)} MiB`);
    assert.ok(most < 700 << 20, `${most} bytes`);
    execFileSync('fsck.erofs', [`${root}/layers/${chain.slice(7)}/layer.erofs`], { stdio: 'pipe' });
    await mounted(await driver.view(chain), (view) => {
      assert.equal(readdirSync(view).length, 1000);
      assert.equal(readdirSync(`${view}/d999`).length, 1000);
    });
  } finally {
    rmSync(root, { recursive: true });
  }
});
