import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  createReadStream,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { after, test } from 'node:test';
import { isGantryError } from '#errors/index.ts';
import { closeFd, openDirectory, setTimesAt, setXattrAt } from '#linux/index.ts';
import { digestOf } from '#oci/index.ts';
import { type GraphDriver, graphDrivers } from '#snapshots/index.ts';
import { type NewTarHeader, packEntries, readTar, type TarSource } from '#tar/index.ts';
import { chainOf, layerTar, makeLayer, mounted } from '../../src/snapshots/graph-driver-suite.ts';
import { seededRandom } from '../images/seeded-random.ts';

const base = mkdtempSync('/var/tmp/gantry-erofs-');
after(() => rmSync(base, { recursive: true, force: true }));
const erofs = await graphDrivers.erofs({ root: `${base}/erofs` });
const overlay2 = await graphDrivers.overlay2({ root: `${base}/overlay2` });
after(() => erofs[Symbol.asyncDispose]());

const imageOf = (name: string): string => `${base}/erofs/layers/${chainOf(name).slice(7)}/layer.erofs`;

/** Throws where a checker that is not ours finds an error (erofs-utils: fsck.erofs). */
const fsck = (name: string): void => void execFileSync('fsck.erofs', [imageOf(name)], { stdio: 'pipe' });

const packed = async (driver: GraphDriver, name: string): Promise<Buffer> =>
  Buffer.concat(await (await driver.layerDiff(chainOf(name))).toArray());

test('an image holds all that GNU tar packs, as fsck.erofs and the kernel read it', async () => {
  mkdirSync(`${base}/tree`);
  execFileSync(
    'bash',
    [
      '-euc',
      `
    mkdir -p many dir/empty "deep/$(printf 'long-directory-name/%.0s' {1..15})"
    touch many/{0..2999}-a-name-of-some-length many/$(printf 'n%.0s' {1..255}) many/.hidden many/-dash many/+plus
    for d in {0..70}; do mkdir dir/$d; echo $d > dir/$d/f; done
    echo hello > dir/file; ln dir/file dir/second; ln dir/file another; : > empty
    for size in 1 4095 4096 4097 1048576 5000000; do head -c $size /dev/urandom > of-$size; done
    ln -s ../dir/file dir/link; ln -s "$(printf 'x%.0s' {1..4000})" longlink; ln -s /nowhere dangling
    mkfifo fifo; mknod char c 5 1; mknod block b 259 70000; touch $'caf\\303\\251 \\377\\n'
    chown 1000:2000 dir/file; chown -h 3000:70000 dir/link; chown 4000000:4000000 of-4096
    chmod 4755 dir/file; chmod 2750 dir; chmod 1777 dir/empty; chmod 000 empty
    find . -exec touch -h -d '2021-02-03 04:05:06.123456789' {} +; touch -d '1960-01-01 00:00:00.25' of-1; touch -d '2200-01-01' fifo`,
    ],
    { cwd: `${base}/tree` },
  );
  const fd = openDirectory(`${base}/tree`);
  setXattrAt(fd, 'dir', 'user.note', Buffer.alloc(3000, 'v'));
  setXattrAt(fd, 'of-1', 'security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex'));
  setTimesAt(fd, 'of-1', { seconds: -1e9, nanoseconds: 250_000_000 });
  closeFd(fd);
  execFileSync('tar', [
    '--format=pax',
    '--xattrs',
    '--xattrs-include=*',
    '-C',
    `${base}/tree`,
    '-cf',
    `${base}/tree.tar`,
    '.',
  ]);
  for (const driver of [erofs, overlay2])
    await makeLayer(driver, 'tree', undefined, createReadStream(`${base}/tree.tar`, { highWaterMark: 70_000 }));
  fsck('tree');
  const [ours, plain] = [await packed(erofs, 'tree'), await packed(overlay2, 'tree')];
  assert.ok(ours.equals(plain));
  await mounted(await erofs.view(chainOf('tree')), (root) => {
    assert.equal(readdirSync(`${root}/many`).length, 3004);
    assert.equal(lstatSync(`${root}/many/2999-a-name-of-some-length`).size, 0);
    const { ino, nlink } = lstatSync(`${root}/dir/file`);
    assert.deepEqual([nlink, lstatSync(`${root}/another`).ino], [3, ino]);
    assert.equal(lstatSync(`${root}/dir`).nlink >= 1, true);
    for (const size of [1, 4095, 4096, 4097, 1_048_576, 5_000_000])
      assert.ok(readFileSync(`${root}/of-${size}`).equals(readFileSync(`${base}/tree/of-${size}`)), `${size}`);
  });
});

/** What a layer's own tar says, a line for each entry. */
async function listing(driver: GraphDriver, name: string): Promise<string> {
  const lines: string[] = [];
  for await (const entry of readTar(await driver.layerDiff(chainOf(name)))) {
    const { name, type, mode, uid, gid, mtime, size, linkName, major, minor } = entry;
    const content = digestOf(await entry.bytes(1 << 20)).slice(7, 17);
    lines.push(
      [name, type, mode, uid, gid, mtime.seconds, mtime.nanoseconds, size, linkName, major, minor, content].join(' '),
    );
  }
  return lines.join('\n');
}

/** A layer tar of odd entries: names that meet again as other kinds, links, whiteouts. */
function* oddEntries(random: (below: number) => number): Generator<TarSource> {
  const name = (): string => Array.from({ length: 1 + random(3) }, () => 'abc'[random(3)]).join('/');
  const time = () => ({ seconds: random(1000), nanoseconds: random(1000) });
  for (let count = 2 + random(12); count > 0; count--) {
    const common: Partial<NewTarHeader> = { mode: random(0o10000), uid: random(5), gid: random(5), mtime: time() };
    const at = name();
    const hidden = at.replace(/[^/]*$/, random(4) === 0 ? '.wh..wh..opq' : '.wh.$&');
    const make: readonly (() => TarSource)[] = [
      () => ({ header: { ...common, name: at, type: 'file' }, body: Buffer.alloc(random(3) * 2500, at) }),
      () => ({ header: { ...common, name: at, type: 'directory' } }),
      () => ({
        header: { ...common, name: at, type: 'symlink', linkName: ['a', '/b', '../c', 'b/c'][random(4)] ?? '' },
      }),
      () => ({ header: { ...common, name: at, type: 'hardlink', linkName: name() } }),
      () => ({ header: { ...common, name: hidden, type: 'file' }, body: Buffer.alloc(0) }),
      () => ({ header: { ...common, name: at, type: 'character-device', major: random(2), minor: random(2) } }),
    ];
    yield (make[[0, 0, 1, 1, 1, 2, 3, 4, 4, 5][random(10)] ?? 0] ?? (() => assert.fail()))();
  }
}

test('whatever a layer says, an image shows what files would, and refuses what they would', async () => {
  const lower = { 'a/a': '1', 'a/b/c': '1', 'b/': { mode: 0o750, uid: 7 }, 'b/c': '1', 'c/a/b': '1' };
  for (const driver of [erofs, overlay2]) await makeLayer(driver, 'lower', undefined, layerTar(lower));
  const random = seededRandom(12);
  const below = (limit: number): number => (random() * limit) | 0;
  let whole = 0;
  for (let round = 0; round < 200; round++) {
    const entries = [...oddEntries(below)];
    const name = `odd-${round}`;
    const outcome = async (driver: GraphDriver): Promise<string> => {
      try {
        await makeLayer(driver, name, 'lower', packEntries(entries));
      } catch (error) {
        if (!isGantryError(error)) throw error;
        return `${error.kind} ${error.code} ${error.message}`;
      }
      return await listing(driver, name);
    };
    const [image, files] = [await outcome(erofs), await outcome(overlay2)];
    assert.equal(image, files, `round ${round}: ${JSON.stringify(entries.map(({ header }) => header))}`);
    if (!(await erofs.hasLayer(chainOf(name)))) continue;
    whole++;
    if (whole % 5 === 0) fsck(name);
  }
  assert.ok(whole > 60, `${whole} layers were whole`);
});

test('an image that cannot be is refused by what is too much of it', async () => {
  const refused = async (entries: Parameters<typeof layerTar>[0], message: RegExp) =>
    assert.rejects(makeLayer(erofs, 'refused', undefined, layerTar(entries)), { message });
  await refused({ ['n'.repeat(256)]: '' }, /a name of 256 bytes; 255 is the most/);
  await refused({ ['d/'.repeat(2100)]: {} }, /4095 is the most/);
  await refused({ l: { type: 'symlink', linkName: 'x'.repeat(5000) } }, /a link's target of 5000 bytes/);
  await refused({ f: { xattrs: new Map([['user.x', Buffer.alloc(70_000)]]) } }, /70000 of value; 255 and 65535/);
  assert.deepEqual(readdirSync(`${base}/erofs/staging`), []);
});

test('an image takes the disk of its contents, and one block or so', async () => {
  await makeLayer(erofs, 'small', undefined, layerTar({ f: 'x'.repeat(10_000) }));
  assert.equal(statSync(imageOf('small')).size, 5 * 4096);
});
