import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { after, test } from 'node:test';
import { isGantryError } from '#errors/index.ts';
import { closeFd, getXattrAt, openDirectory } from '#linux/index.ts';
import { extractTar, graphDrivers } from '#snapshots/index.ts';
import { type NewTarHeader, packEntries } from '#tar/index.ts';
import { chainOf, mounted, treeOf } from '../../src/snapshots/graph-driver-suite.ts';

const base = mkdtempSync('/var/tmp/gantry-hostile-');
after(() => rmSync(base, { recursive: true, force: true }));
const outside = `${base}/outside`;
mkdirSync(`${outside}/inner`, { recursive: true });
writeFileSync(`${outside}/canary`, 'sings');
chmodSync(outside, 0o750);
for (const path of ['canary', 'inner', '.']) utimesSync(`${outside}/${path}`, 1000, 1000);

/** All that could be seen of the outside, were it touched. */
const outsideNow = (): string =>
  JSON.stringify(
    ['.', 'canary', 'inner'].map((path) => {
      const { mode, uid, gid, mtimeMs, ctimeMs, nlink, size } = lstatSync(`${outside}/${path}`);
      return [path, mode, uid, gid, mtimeMs, ctimeMs, nlink, size];
    }),
  ) + JSON.stringify([readdirSync(outside), readdirSync(`${outside}/inner`), readdirSync(base).sort()]);

type Entry = readonly [name: string, what?: string | Partial<NewTarHeader>];
const link = (linkName: string): Partial<NewTarHeader> => ({ type: 'symlink', linkName });
const hard = (linkName: string): Partial<NewTarHeader> => ({ type: 'hardlink', linkName });

async function* tarOf(entries: readonly Entry[]): AsyncGenerator<Uint8Array> {
  yield* packEntries(
    entries.map(([name, what = 'x']) => {
      const body = Buffer.from(typeof what === 'string' ? what : '');
      const header = typeof what === 'string' ? {} : what;
      const type = header.type ?? (name.endsWith('/') ? 'directory' : 'file');
      return { header: { ...header, name, type }, ...(type === 'file' ? { body } : {}) };
    }),
  );
}

/** Each a layer; the kind of the refusal, or `contained` where it unpacks and stays inside. */
const corpus: Readonly<Record<string, readonly ['contained' | 'invalid' | 'corrupt', readonly Entry[]]>> = {
  'a name that climbs out': ['invalid', [['../outside/new']]],
  'a name that climbs out in the middle': ['invalid', [['a/../../outside/new']]],
  'a directory above': ['invalid', [['../', {}]]],
  'an absolute name': ['contained', [[`${outside}/new`]]],
  'a name that comes back': ['contained', [['a/../b']]],
  'below an absolute link': ['contained', [['evil', link(outside)], ['evil/new']]],
  'below a relative link': ['contained', [['evil', link('../../../../../../outside')], ['evil/canary']]],
  'below a link to the root': ['contained', [['evil', link('/')], [`evil${outside}/canary`]]],
  'below links of links': [
    'contained',
    [['a', link('b')], ['b', link('c/d')], ['c/', {}], ['c/d', link(outside)], ['a/new']],
  ],
  'below links in a circle': ['invalid', [['a', link('b')], ['b', link('a')], ['a/new']]],
  'through a file descriptor': ['contained', [['fd', link('/proc/self/fd')], ['fd/3/new']]],
  'a directory below a link': [
    'contained',
    [
      ['evil', link(outside)],
      ['evil/inner/', { mode: 0o777, uid: 9 }],
    ],
  ],
  'a link below a link': [
    'contained',
    [
      ['evil', link(outside)],
      ['evil/new', link('/etc/shadow')],
    ],
  ],
  'a device below a link': [
    'contained',
    [
      ['evil', link(outside)],
      ['evil/new', { type: 'block-device', major: 8 }],
    ],
  ],
  'a link that replaces a directory with a time': [
    'contained',
    [
      ['d/', { mtime: { seconds: 77, nanoseconds: 0 } }],
      ['d', link(outside)],
    ],
  ],
  'a parent that becomes a link': [
    'contained',
    [
      ['a/inner/', { mode: 0o777 }],
      ['a/', {}],
      ['a', link(outside)],
    ],
  ],
  'a file over a link': [
    'contained',
    [
      ['evil', link(`${outside}/canary`)],
      ['evil', 'mine'],
    ],
  ],
  'a directory over a link': ['contained', [['evil', link(outside)], ['evil/', { mode: 0o777 }], ['evil/new']]],
  'a hard link to the outside': ['corrupt', [['h', hard(`${outside}/canary`)]]],
  'a hard link that climbs out': ['invalid', [['h', hard('../outside/canary')]]],
  'a hard link through a link': [
    'corrupt',
    [
      ['evil', link(outside)],
      ['h', hard('evil/canary')],
    ],
  ],
  'a hard link to a link': [
    'contained',
    [
      ['evil', link(`${outside}/canary`)],
      ['h', hard('evil')],
      ['h', 'mine'],
    ],
  ],
  'a hard link to a directory': [
    'corrupt',
    [
      ['d/', {}],
      ['h', hard('d')],
    ],
  ],
  'a hard link to the root': ['corrupt', [['h', hard('.')]]],
  'a hard link to itself': ['contained', [['h'], ['h', hard('h')]]],
  'a hard link to nothing': ['corrupt', [['h', hard('nothing')]]],
  'a whiteout above': ['invalid', [['../.wh.outside', '']]],
  'a whiteout of the directory above': ['invalid', [['d/.wh...', '']]],
  'a whiteout of itself': ['invalid', [['d/.wh..', '']]],
  'a whiteout of nothing': ['invalid', [['.wh.', '']]],
  'a whiteout below a link': [
    'contained',
    [
      ['evil', link(outside)],
      ['evil/.wh.canary', ''],
    ],
  ],
  'an opaque link': [
    'contained',
    [
      ['evil', link(outside)],
      ['evil/.wh..wh..opq', ''],
    ],
  ],
  'a file as a directory': ['corrupt', [['f'], ['f/x']]],
  'the root as a file': ['invalid', [['.', 'x']]],
  'the root as a link': ['invalid', [['.', link(outside)]]],
  'a component of 256 bytes': ['invalid', [['n'.repeat(256)]]],
  'a path that nobody could open': ['invalid', [['d/'.repeat(2100)]]],
  'a symlink to nothing': ['corrupt', [['l', link('')]]],
  'a symlink longer than a path': ['invalid', [['l', link('x'.repeat(5000))]]],
};

for (const [name, open] of Object.entries(graphDrivers))
  test(`${name}: whatever a layer says, nothing outside it is touched`, async () => {
    const root = `${base}/store-${name}`;
    const driver = await open({ root });
    const before = outsideNow();
    for (const [what, [outcome, entries]] of Object.entries(corpus)) {
      const writer = await driver.prepareLayer(chainOf(what), undefined);
      const unpacked = writer.unpack(tarOf(entries));
      if (outcome === 'contained') {
        await unpacked;
        await writer.commit();
        await mounted(await driver.view(chainOf(what)), (view) => treeOf(view));
      } else {
        await assert.rejects(unpacked, { kind: outcome, message: /^cannot unpack "/ }, what);
        await writer.abort();
      }
      assert.equal(outsideNow(), before, what);
      assert.equal(await driver.hasLayer(chainOf(what)), outcome === 'contained', what);
    }
  });

test('extractTar keeps to its directory inside the root, and resolves that in the root too', async () => {
  const root = `${base}/tree`;
  mkdirSync(root);
  const fd = openDirectory(root);
  const before = outsideNow();
  try {
    const evil: Entry[] = [['evil', link(outside)]];
    await extractTar(tarOf(evil), fd, { whiteouts: 'literal' });
    await extractTar(tarOf([['x/new'], ['.wh.x', 'literal']]), fd, {
      whiteouts: 'literal',
      directory: '/evil/../evil',
      owner: { uid: 5, gid: 6 },
    });
    const inside = `${root}${outside}`;
    assert.equal(readFileSync(`${inside}/x/new`, 'utf8'), 'x');
    assert.equal(readFileSync(`${inside}/.wh.x`, 'utf8'), 'literal');
    for (const path of ['x', 'x/new'])
      assert.deepEqual([lstatSync(`${inside}/${path}`).uid, lstatSync(`${inside}/${path}`).gid], [5, 6]);
    await assert.rejects(extractTar(tarOf([['../new']]), fd, { whiteouts: 'literal', directory: 'evil' }), {
      code: 'path-escapes',
    });
    await assert.rejects(extractTar(tarOf([['a']]), fd, { whiteouts: 'literal', directory: '../outside' }), {
      code: 'path-escapes',
    });
    assert.equal(outsideNow(), before);
  } finally {
    closeFd(fd);
    rmSync(root, { recursive: true });
  }
});

test('attributes that belong to the overlay or the host are not taken from a layer', async () => {
  const root = `${base}/attributes`;
  mkdirSync(root);
  const fd = openDirectory(root);
  try {
    const names = [
      'trusted.overlay.opaque',
      'trusted.overlay.redirect',
      'user.overlay.opaque',
      'security.selinux',
      'user.kept',
      'nonsense',
    ];
    const xattrs = new Map(names.map((name) => [name, Buffer.from('y')]));
    await extractTar(tarOf([['d/', { xattrs }]]), fd, { whiteouts: 'overlay' });
    assert.deepEqual(
      names.filter((name) => getXattrAt(fd, 'd', name) !== undefined),
      ['user.kept'],
    );
  } finally {
    closeFd(fd);
    rmSync(root, { recursive: true });
  }
});

test('extractTar ends on any bytes, throws nothing but a GantryError, and leaves no fd open', async () => {
  const parts: Uint8Array[] = [];
  const benign = Object.values(corpus)
    .filter(([outcome]) => outcome === 'contained')
    .flatMap(([, entries]) => entries);
  for await (const part of tarOf(benign)) parts.push(part);
  const whole = Buffer.concat(parts);
  let state = 99;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const root = `${base}/fuzz`;
  mkdirSync(root);
  const before = outsideNow();
  const fds = readdirSync('/proc/self/fd').length;
  for (let round = 0; round < 150; round++) {
    const bytes = Buffer.from(whole);
    // Mostly in names and link names, with the checksum made right, so that the harm is in what is unpacked.
    for (let i = 0; i < 6; i++) {
      const block = random(bytes.length / 512) * 512;
      bytes[block + (random(2) === 0 ? random(100) : 157 + random(100))] = './\0e'.charCodeAt(random(4));
      bytes.fill(0x20, block + 148, block + 156);
      const sum = bytes.subarray(block, block + 512).reduce((a, b) => a + b, 0);
      bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, block + 148, 'latin1');
    }
    const fd = openDirectory(root);
    try {
      await extractTar(
        (async function* () {
          yield bytes;
        })(),
        fd,
        { whiteouts: round % 2 === 0 ? 'overlay' : 'apply' },
      );
    } catch (error) {
      assert.ok(isGantryError(error), String(error));
      assert.notEqual(error.kind, 'internal', error.message);
    } finally {
      closeFd(fd);
    }
    assert.equal(outsideNow(), before);
    rmSync(root, { recursive: true });
    mkdirSync(root);
  }
  assert.equal(readdirSync('/proc/self/fd').length, fds);
  assert.ok(existsSync(`${outside}/canary`));
  rmSync(root, { recursive: true });
});
