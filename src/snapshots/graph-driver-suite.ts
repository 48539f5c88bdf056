import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { chmod, link, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { after, suite, test } from 'node:test';
import { closeFd, mountDetached } from '#linux/index.ts';
import { digestOf } from '#oci/index.ts';
import { type NewTarHeader, packEntries, readTar, type TarHeader } from '#tar/index.ts';
import type { GraphDriver } from './graph-driver.ts';

/** Entries of a layer tar: a name, and what it is (a string is a file's content). */
export type LayerEntries = Readonly<Record<string, string | (Partial<NewTarHeader> & { readonly body?: string })>>;

/** A layer tar, in the order of the entries; a name that ends in a slash is a directory. */
export async function* layerTar(entries: LayerEntries): AsyncGenerator<Uint8Array> {
  yield* packEntries(
    Object.entries(entries).map(([name, entry]) => {
      const { body, ...header } = typeof entry === 'string' ? { body: entry } : entry;
      const content = Buffer.from(body ?? '');
      const type = header.type ?? (name.endsWith('/') ? 'directory' : 'file');
      return { header: { ...header, name, type, ...(type === 'file' ? { size: content.length } : {}) }, body: content };
    }),
  );
}

/** A chain id like any other. */
export const chainOf = (name: string): string => digestOf(name);

/** Unpacks and commits a layer. */
export async function makeLayer(
  driver: GraphDriver,
  name: string,
  parent: string | undefined,
  tar: AsyncIterable<Uint8Array>,
): Promise<string> {
  const writer = await driver.prepareLayer(chainOf(name), parent === undefined ? undefined : chainOf(parent));
  try {
    await writer.unpack(tar);
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  return chainOf(name);
}

/** Uses a chain or a diff mounted, by a path that exists only meanwhile. */
export async function mounted<T>(
  mounts: Parameters<typeof mountDetached>[0],
  use: (root: string) => Promise<T> | T,
): Promise<T> {
  const fd = mountDetached(mounts);
  try {
    return await use(`/proc/self/fd/${fd}`);
  } finally {
    closeFd(fd);
  }
}

/** A tree as text: `path` of a directory ends in a slash; contents of files, targets of links. */
export function treeOf(root: string, below = ''): Record<string, string> {
  const tree: Record<string, string> = {};
  for (const name of readdirSync(`${root}/${below}`).sort()) {
    const path = `${below}${name}`;
    const stat = lstatSync(`${root}/${path}`);
    if (stat.isDirectory()) Object.assign(tree, { [`${path}/`]: '' }, treeOf(root, `${path}/`));
    else if (stat.isSymbolicLink()) tree[path] = `-> ${readlinkSync(`${root}/${path}`)}`;
    else tree[path] = stat.isFile() ? readFileSync(`${root}/${path}`, 'utf8') : 'special';
  }
  return tree;
}

const viewOf = async (driver: GraphDriver, chainId: string): Promise<Record<string, string>> =>
  mounted(await driver.view(chainId), (root) => treeOf(root));

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function headersOf(tar: Buffer): Promise<Map<string, TarHeader>> {
  const headers = new Map<string, TarHeader>();
  for await (const entry of readTar(
    (async function* () {
      yield tar;
    })(),
  ))
    headers.set(entry.name, entry);
  return headers;
}

async function changesOf(driver: GraphDriver, id: string): Promise<string[]> {
  const changes: string[] = [];
  for await (const { kind, path } of driver.changes(id)) changes.push(`${kind[0]} ${path}`);
  return changes;
}

/** What every graph driver does. Runs as root; each test has a root directory of its own, gone in the end. */
export function graphDriverSuite(name: string, open: (root: string) => Promise<GraphDriver>): void {
  suite(name, () => {
    const base = mkdtempSync('/var/tmp/gantry-storage-');
    after(() => rmSync(base, { recursive: true, force: true }));
    let roots = 0;
    const newRoot = (): string => `${base}/${++roots}`;

    test('a layer shows as its tar says, with all that a tar can say of it', async () => {
      const driver = await open(newRoot());
      const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
      const mtime = { seconds: 1_600_000_000, nanoseconds: 123_456_789 };
      const chain = await makeLayer(
        driver,
        'all',
        undefined,
        layerTar({
          './': { mode: 0o711, uid: 3, gid: 4 },
          './bin/': { mode: 0o1777, mtime },
          './bin/su': { body: 'su', mode: 0o4755, uid: 0, gid: 42, mtime },
          './bin/ping': {
            body: 'ping',
            mode: 0o755,
            xattrs: new Map([
              ['security.capability', capability],
              ['user.note', Buffer.from('x')],
            ]),
          },
          './bin/link': { type: 'symlink', linkName: '../../outside', uid: 7, gid: 8, mtime },
          './bin/same': { type: 'hardlink', linkName: './bin/su' },
          './dev/null': { type: 'character-device', major: 1, minor: 300, mode: 0o666 },
          './dev/fifo': { type: 'fifo', mode: 0o640, uid: 5 },
          './né\udcff': 'bytes',
        }),
      );
      assert.ok(await driver.hasLayer(chain));
      await mounted(await driver.view(chain), (root) => {
        const stat = (path: string) => lstatSync(`${root}/${path}`, { bigint: true });
        const owner = (path: string) => [stat(path).uid, stat(path).gid].map(Number);
        const mode = (path: string) => Number(stat(path).mode & 0o7777n).toString(8);
        assert.deepEqual([mode(''), owner('')], ['711', [3, 4]]);
        assert.deepEqual([mode('bin'), stat('bin').mtimeNs], ['1777', 1_600_000_000_123_456_789n]);
        assert.deepEqual([mode('bin/su'), owner('bin/su')], ['4755', [0, 42]]);
        assert.equal(stat('bin/su').mtimeNs, 1_600_000_000_123_456_789n);
        assert.equal(stat('bin/same').ino, stat('bin/su').ino);
        assert.equal(stat('bin/su').nlink, 2n);
        assert.deepEqual([readlinkSync(`${root}/bin/link`), owner('bin/link')], ['../../outside', [7, 8]]);
        assert.equal(stat('bin/link').mtimeNs, 1_600_000_000_123_456_789n);
        assert.ok(stat('dev/null').isCharacterDevice());
        assert.deepEqual([stat('dev/null').rdev, mode('dev/null')], [deviceNumber(1n, 300n), '666']);
        assert.ok(stat('dev/fifo').isFIFO());
        assert.deepEqual([mode('dev/fifo'), owner('dev/fifo')], ['640', [5, 0]]);
        assert.deepEqual([mode('dev'), owner('dev')], ['755', [0, 0]]);
        assert.ok(readdirSync(root, { encoding: 'buffer' }).some((n) => n.toString('hex') === '6ec3a9ff'));
      });
      const headers = await headersOf(await bytesOf(await driver.layerDiff(chain)));
      assert.deepEqual(Buffer.from(headers.get('bin/ping')?.xattrs.get('security.capability') ?? []), capability);
      assert.equal(String(headers.get('bin/ping')?.xattrs.get('user.note')), 'x');
    });

    test('whiteouts hide what is below, and nothing of their own layer, whatever the order', async () => {
      const driver = await open(newRoot());
      await makeLayer(
        driver,
        'lower',
        undefined,
        layerTar({ 'a/x': '1', 'a/y': '1', 'b/x': '1', 'c/d/x': '1', 'e/x': '1', f: '1', g: '1', 'h/x': '1' }),
      );
      const upper = await makeLayer(
        driver,
        'upper',
        'lower',
        layerTar({
          'a/.wh.x': '',
          'b/new': '2',
          'b/.wh..wh..opq': '',
          '.wh.c': '',
          'c/d/y': '2',
          'e/y': '2',
          '.wh.e': '',
          f: '2',
          '.wh.f': '',
          '.wh.g': '',
          h: '2',
          '.wh.nothing': '',
          'a/.wh..wh.plnk': 'aufs',
        }),
      );
      const expected = {
        'a/': '',
        'a/y': '1',
        'b/': '',
        'b/new': '2',
        'c/': '',
        'c/d/': '',
        'c/d/y': '2',
        'e/': '',
        'e/y': '2',
        f: '2',
        h: '2',
      };
      assert.deepEqual(await viewOf(driver, upper), expected);
      // The layer's own tar does the same again.
      await makeLayer(driver, 'again', 'lower', await driver.layerDiff(upper));
      assert.deepEqual(await viewOf(driver, chainOf('again')), expected);
      const third = await makeLayer(driver, 'third', 'upper', layerTar({ '.wh..wh..opq': '', 'b/z': '3', top: '3' }));
      assert.deepEqual(await viewOf(driver, third), { 'b/': '', 'b/z': '3', top: '3' });
    });

    test('an entry replaces what has its name, of any kind', async () => {
      const driver = await open(newRoot());
      await makeLayer(
        driver,
        'lower',
        undefined,
        layerTar({ 'd/x': '1', f: '1', l: { type: 'symlink', linkName: 'd' } }),
      );
      const upper = await makeLayer(
        driver,
        'upper',
        'lower',
        layerTar({ d: 'file now', 'f/': {}, 'f/y': '2', 'l/': {}, 'l/z': '2' }),
      );
      assert.deepEqual(await viewOf(driver, upper), { d: 'file now', 'f/': '', 'f/y': '2', 'l/': '', 'l/z': '2' });
      const same = await makeLayer(
        driver,
        'same',
        undefined,
        layerTar({ 'x/y/z': '1', x: '2', p: '1', 'p/': {}, 'p/q': '2', r: '1', 'r ': '', s: '1' }),
      );
      assert.deepEqual(await viewOf(driver, same), { 'p/': '', 'p/q': '2', r: '1', 'r ': '', s: '1', x: '2' });
      const twice = await makeLayer(
        driver,
        'twice',
        undefined,
        (async function* () {
          yield* packEntries(
            ['first', 'second'].map((body) => ({ header: { name: 'f', type: 'file' }, body: Buffer.from(body) })),
          );
        })(),
      );
      assert.deepEqual(await viewOf(driver, twice), { f: 'second' });
    });

    test('a directory that a layer only passes through keeps the mode and owner that it has below', async () => {
      const driver = await open(newRoot());
      await makeLayer(
        driver,
        'lower',
        undefined,
        layerTar({ './': { mode: 0o700 }, 'tmp/': { mode: 0o1777, uid: 1, gid: 2 } }),
      );
      const upper = await makeLayer(driver, 'upper', 'lower', layerTar({ 'tmp/x': '2' }));
      await mounted(await driver.view(upper), (root) => {
        const { mode, uid, gid } = lstatSync(`${root}/tmp`);
        assert.deepEqual([(mode & 0o7777).toString(8), uid, gid], ['1777', 1, 2]);
        assert.equal(lstatSync(`${root}/.`).mode & 0o7777, 0o700);
      });
    });

    test('a diff is written through its mount, told as changes, and becomes a layer with the same bytes', async () => {
      const driver = await open(newRoot());
      const lower = await makeLayer(
        driver,
        'lower',
        undefined,
        layerTar({
          'etc/': {},
          'etc/a': 'old',
          'etc/b': 'old',
          'gone/deep/x': '1',
          'made/x': '1',
          'made/y': '1',
          still: '1',
          'still-too/x': '1',
        }),
      );
      await driver.createDiff('box', lower);
      assert.ok(await driver.hasDiff('box'));
      await mounted(await driver.mounts('box'), async (root) => {
        await writeFile(`${root}/etc/a`, 'new');
        await rm(`${root}/etc/b`);
        await rm(`${root}/gone`, { recursive: true });
        await rm(`${root}/made`, { recursive: true });
        await mkdir(`${root}/made`);
        await writeFile(`${root}/made/y`, '22');
        await writeFile(`${root}/made/z`, '22');
        await mkdir(`${root}/fresh`);
        await symlink('/etc', `${root}/fresh/link`);
        await writeFile(`${root}/fresh/one`, '333');
        await link(`${root}/fresh/one`, `${root}/fresh/two`);
        await utimes(`${root}/fresh`, 5, 5);
      });
      assert.deepEqual(
        (await changesOf(driver, 'box')).toSorted(),
        [
          'm /etc',
          'm /etc/a',
          'd /etc/b',
          'd /gone',
          'm /made',
          'd /made/x',
          'm /made/y',
          'a /made/z',
          'a /fresh',
          'a /fresh/link',
          'a /fresh/one',
          'a /fresh/two',
        ].toSorted(),
      );
      const tar = await bytesOf(await driver.diff('box'));
      const headers = await headersOf(tar);
      assert.equal(headers.get('fresh/two')?.linkName, 'fresh/one');
      assert.equal(headers.has('still'), false);
      assert.equal(headers.has('.wh.gone'), true);
      assert.equal(headers.has('etc/.wh.b'), true);
      assert.ok((await bytesOf(await driver.diff('box'))).equals(tar));
      assert.ok((await driver.diffSize('box')) >= 3 + 2 + 2 + 3);
      const shown = await mounted(await driver.mounts('box'), (root) => treeOf(root));

      await driver.commitDiff('box', chainOf('committed'));
      assert.equal(await driver.hasDiff('box'), false);
      assert.ok((await bytesOf(await driver.layerDiff(chainOf('committed')))).equals(tar));
      assert.deepEqual(await viewOf(driver, chainOf('committed')), shown);
      // Somebody else who unpacks the tar sees the same, and would pack the same.
      await makeLayer(
        driver,
        'elsewhere',
        'lower',
        (async function* () {
          yield tar;
        })(),
      );
      assert.deepEqual(await viewOf(driver, chainOf('elsewhere')), shown);
      assert.ok((await bytesOf(await driver.layerDiff(chainOf('elsewhere')))).equals(tar));
    });

    test('a changed root directory is part of the diff', async () => {
      const driver = await open(newRoot());
      const lower = await makeLayer(driver, 'lower', undefined, layerTar({ './': { mode: 0o750 }, f: '1' }));
      await driver.createDiff('box', lower);
      await mounted(await driver.mounts('box'), (root) => chmod(`${root}/.`, 0o711));
      const tar = await bytesOf(await driver.diff('box'));
      assert.deepEqual([...(await headersOf(tar)).keys()], ['./']);
      const again = await makeLayer(
        driver,
        'again',
        'lower',
        (async function* () {
          yield tar;
        })(),
      );
      await mounted(await driver.view(again), (root) => assert.equal(lstatSync(`${root}/.`).mode & 0o7777, 0o711));
    });

    test('diffs of one layer do not see each other, nor the layer them; nothing changed is no change', async () => {
      const driver = await open(newRoot());
      const lower = await makeLayer(driver, 'lower', undefined, layerTar({ 'd/f': 'original' }));
      await driver.createDiff('one', lower);
      await driver.createDiff('two', lower);
      await mounted(await driver.mounts('one'), (root) => writeFile(`${root}/d/f`, 'one'));
      await mounted(await driver.mounts('two'), (root) =>
        assert.deepEqual(treeOf(root), { 'd/': '', 'd/f': 'original' }),
      );
      assert.deepEqual(await viewOf(driver, lower), { 'd/': '', 'd/f': 'original' });
      assert.deepEqual(await changesOf(driver, 'two'), []);
      assert.equal(await driver.diffSize('two'), 0);
      assert.deepEqual([...(await headersOf(await bytesOf(await driver.diff('two')))).keys()], []);
      const diffs: string[] = [];
      for await (const id of driver.diffs()) diffs.push(id);
      assert.deepEqual(diffs.toSorted(), ['one', 'two']);
      assert.equal(await driver.diffParent('one'), lower);
    });

    test('a diff on no layer at all is an empty root', async () => {
      const driver = await open(newRoot());
      await driver.createDiff('scratch', undefined);
      await mounted(await driver.mounts('scratch'), async (root) => {
        assert.deepEqual(treeOf(root), {});
        await writeFile(`${root}/hello`, 'x');
        await rename(`${root}/hello`, `${root}/world`);
      });
      await driver.commitDiff('scratch', chainOf('first'));
      assert.deepEqual(await viewOf(driver, chainOf('first')), { world: 'x' });
    });

    test('commitDiff onto a layer that exists just removes the diff', async () => {
      const driver = await open(newRoot());
      const lower = await makeLayer(driver, 'lower', undefined, layerTar({ f: '1' }));
      await driver.createDiff('again', undefined);
      await driver.commitDiff('again', lower);
      assert.equal(await driver.hasDiff('again'), false);
      assert.deepEqual(await viewOf(driver, lower), { f: '1' });
    });

    test('two who make the same layer at once both succeed, and there is one', async () => {
      const root = newRoot();
      const driver = await open(root);
      for (const id of ['one', 'two']) {
        await driver.createDiff(id, undefined);
        await mounted(await driver.mounts(id), (at) => writeFile(`${at}/f`, 'same'));
      }
      await Promise.all(['one', 'two'].map((id) => driver.commitDiff(id, chainOf('same'))));
      assert.deepEqual(await viewOf(driver, chainOf('same')), { f: 'same' });
      for await (const id of driver.diffs()) assert.fail(`${id} is left`);
      assert.deepEqual(readdirSync(`${root}/staging`), []);
    });

    test('a volatile diff can be mounted again and again, and survives a restart of the daemon', async () => {
      const root = newRoot();
      const driver = await open(root);
      const lower = await makeLayer(driver, 'lower', undefined, layerTar({ f: '1' }));
      await driver.createDiff('step', lower, { volatile: true });
      for (const name of ['a', 'b'])
        await mounted(await driver.mounts('step'), (at) => writeFile(`${at}/${name}`, name));
      const later = await open(root);
      await mounted(await later.mounts('step'), (at) => assert.deepEqual(treeOf(at), { a: 'a', b: 'b', f: '1' }));
    });

    test('what is in use is not removed, what is unknown is named, and all can be removed in the end', async () => {
      const driver = await open(newRoot());
      const lower = await makeLayer(driver, 'lower', undefined, layerTar({ f: '1' }));
      const upper = await makeLayer(driver, 'upper', 'lower', layerTar({ g: '1' }));
      await driver.createDiff('box', upper);
      await assert.rejects(driver.removeLayer(lower), { kind: 'conflict', code: 'layer-in-use' });
      await assert.rejects(driver.removeLayer(upper), { kind: 'conflict' });
      await assert.rejects(driver.createDiff('box', upper), { kind: 'conflict' });
      await assert.rejects(driver.prepareLayer(upper, lower), { kind: 'conflict' });
      await assert.rejects(driver.removeLayer(chainOf('other')), { kind: 'not-found' });
      await assert.rejects(driver.createDiff('lost', chainOf('other')), { kind: 'not-found' });
      await assert.rejects(driver.mounts('lost'), { kind: 'not-found' });
      await assert.rejects(driver.createDiff('../lost', upper), { kind: 'invalid' });
      await driver.removeDiff('box');
      await driver.removeDiff('box');
      await driver.removeLayer(upper);
      await driver.removeLayer(lower);
      for await (const layer of driver.layers()) assert.fail(`${layer.chainId} is left`);
    });

    test('a chain of more layers than a mount option has room for shows whole, and takes a diff', async () => {
      const driver = await open(newRoot());
      const names = Array.from({ length: 140 }, (_, n) => `layer${String(n).padStart(3, '0')}`);
      for (const [n, name] of names.entries())
        await makeLayer(driver, name, names[n - 1], layerTar({ [name]: `${n}` }));
      const top = chainOf(names.at(-1) ?? '');
      assert.deepEqual(Object.keys(await viewOf(driver, top)), names);
      await driver.createDiff('box', top);
      await mounted(await driver.mounts('box'), async (root) => {
        await rm(`${root}/layer000`);
        await writeFile(`${root}/layer139`, 'changed');
      });
      assert.deepEqual((await changesOf(driver, 'box')).toSorted(), ['d /layer000', 'm /layer139']);
    });

    test('a layer that was not committed is not there, and what it left is swept when the driver opens again', async () => {
      const root = newRoot();
      const driver = await open(root);
      const committed = await makeLayer(driver, 'whole', undefined, layerTar({ f: '12345' }));
      const writer = await driver.prepareLayer(chainOf('half'), undefined);
      await writer.unpack(layerTar({ 'd/f': '1' }));
      assert.equal(await driver.hasLayer(chainOf('half')), false);
      const later = await open(root);
      assert.equal(await later.hasLayer(chainOf('half')), false);
      assert.deepEqual(readdirSync(`${root}/staging`), []);
      const layers = [];
      for await (const layer of later.layers()) layers.push(layer);
      assert.deepEqual(layers, [{ chainId: committed, parent: undefined, size: 5 }]);
      await assert.rejects(
        makeLayer(
          later,
          'broken',
          undefined,
          (async function* () {
            yield Buffer.alloc(512, 1);
          })(),
        ),
        { kind: 'corrupt' },
      );
      assert.equal(await later.hasLayer(chainOf('broken')), false);
      assert.deepEqual(readdirSync(`${root}/staging`), []);
    });

    test('an unpack that is cancelled stops, and leaves nothing once aborted', async () => {
      const root = newRoot();
      const driver = await open(root);
      for (const size of [10_000, 3_000_000]) {
        const controller = new AbortController();
        const writer = await driver.prepareLayer(chainOf('stopped'), undefined);
        const endless = (async function* () {
          yield* layerTar({ big: 'x'.repeat(size) });
          controller.abort();
          yield Buffer.alloc(1);
        })();
        await assert.rejects(writer.unpack(endless, { signal: controller.signal }), { kind: 'cancelled' });
        await writer.abort();
        assert.deepEqual(readdirSync(`${root}/staging`), []);
      }
    });
  });
}

const deviceNumber = (major: bigint, minor: bigint): bigint =>
  (minor & 0xffn) | (major << 8n) | ((minor & ~0xffn) << 12n);
