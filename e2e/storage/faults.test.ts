import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createContentStore } from '#content/index.ts';
import {
  check,
  closeFd,
  kernel,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  openDirectory,
  openInRoot,
  removeTree,
  walkTree,
} from '#linux/index.ts';
import { createOverlay2Driver, graphDrivers, overlaySupported } from '#snapshots/index.ts';
import { packEntries } from '#tar/index.ts';
import { chainOf, layerTar, makeLayer, mounted, treeOf } from '../../src/snapshots/graph-driver-suite.ts';

const base = mkdtempSync('/var/tmp/gantry-faults-');
after(() => rmSync(base, { recursive: true, force: true }));

/** A tmpfs of a few bytes that is mounted nowhere; it is gone with its fd. */
function smallFileSystem(size: string): { readonly path: string; readonly fd: number } {
  const fs = check(kernel.call('fsopen', 'tmpfs', 1), 'fsopen', 'tmpfs');
  check(kernel.call('fsconfig', fs, 1, 'size', size, 0), 'fsconfig', 'size');
  check(kernel.call('fsconfig', fs, 6, null, null, 0), 'fsconfig', 'create');
  const fd = check(kernel.call('fsmount', fs, 1, 0), 'fsmount', 'tmpfs');
  closeFd(fs);
  return { fd, path: `/proc/self/fd/${fd}` };
}

test('a full disk is said to be full, and what did not fit is gone', async () => {
  const disk = smallFileSystem('2m');
  try {
    const store = await createContentStore({ root: `${disk.path}/content` });
    const large = (async function* () {
      for (let i = 0; i < 40; i++) yield Buffer.alloc(100_000, i);
    })();
    await assert.rejects(store.ingest(large), { kind: 'exhausted', code: 'ENOSPC' });
    assert.deepEqual(readdirSync(store.staging), []);
    for (const [name, create] of Object.entries(graphDrivers)) {
      const root = `${disk.path}/${name}`;
      const driver = await create({ root });
      for (const size of [3_000_000, 900_000]) {
        const layer = layerTar({ a: 'x'.repeat(size), b: 'x'.repeat(size), c: 'x'.repeat(size) });
        await assert.rejects(makeLayer(driver, 'large', undefined, layer), { kind: 'exhausted', code: 'ENOSPC' });
        assert.deepEqual(readdirSync(`${root}/staging`), []);
      }
      await makeLayer(driver, 'small', undefined, layerTar({ f: 'fits' }));
    }
  } finally {
    closeFd(disk.fd);
  }
});

test('overlaySupported tries it, and leaves nothing behind', async () => {
  const disk = smallFileSystem('1m');
  try {
    assert.equal(await overlaySupported(disk.path), true);
    assert.deepEqual(readdirSync(disk.path), []);
    await assert.rejects(overlaySupported('/proc/nowhere'));
  } finally {
    closeFd(disk.fd);
  }
});

test('overlay2 discards at its start the volatile diffs of another boot, and only those', async () => {
  const root = `${base}/boots`;
  const driver = await createOverlay2Driver({ root });
  for (const [id, volatile] of [
    ['step', true],
    ['box', false],
    ['torn', true],
  ] as const) {
    await driver.createDiff(id, undefined, { volatile });
    await mounted(await driver.mounts(id), (at) => writeFileSync(`${at}/f`, 'x'));
  }
  await driver.createDiff('unwritten', undefined, { volatile: true });
  writeFileSync(`${root}/diffs/unwritten/diff.json`, '');
  const record = `${root}/diffs/torn/diff.json`;
  writeFileSync(record, JSON.stringify({ ...JSON.parse(readFileSync(record, 'utf8')), volatileBoot: 'another' }));
  const later = await createOverlay2Driver({ root });
  assert.deepEqual(await Promise.all(['step', 'box', 'torn', 'unwritten'].map((id) => later.hasDiff(id))), [
    true,
    true,
    false,
    false,
  ]);
  await mounted(await later.mounts('step'), (at) => assert.deepEqual(treeOf(at), { f: 'x' }));
});

test('createOverlay2Driver refuses a root that overlay options cannot name', async () => {
  await assert.rejects(createOverlay2Driver({ root: `${base}/a:b` }), { kind: 'unsupported', message: /a:b/ });
});

test('a tree far deeper than any path is walked, sized and removed', async () => {
  const driver = await createOverlay2Driver({ root: `${base}/deep` });
  await driver.createDiff('deep', undefined);
  let fd = openDirectory(`${base}/deep/diffs/deep/diff`);
  const depth = 6000;
  for (let i = 0; i < depth; i++) {
    makeDirectoryAt(fd, 'd', 0o755);
    const next = openAt(fd, 'd', 0);
    closeFd(fd);
    fd = next;
  }
  makeNodeAt(fd, 'f', 'file', 0o644);
  closeFd(fd);
  const top = openDirectory(`${base}/deep/diffs/deep/diff`);
  let deepest = 0;
  for (const step of walkTree(top)) deepest = Math.max(deepest, step.depth);
  closeFd(top);
  assert.equal(deepest, depth + 1);
  assert.equal(await driver.diffSize('deep'), 0);
  await assert.rejects(
    async () => {
      for await (const _ of await driver.diff('deep'));
    },
    { kind: 'invalid', message: /longer than/ },
  );
  await driver.removeDiff('deep');
  assert.deepEqual([readdirSync(`${base}/deep/diffs`), readdirSync(`${base}/deep/staging`)], [[], []]);
});

test('removeTree removes links, not what they lead to', async () => {
  const root = `${base}/links`;
  mkdirSync(`${root}/kept`, { recursive: true });
  writeFileSync(`${root}/kept/f`, 'kept');
  const fd = openDirectory(root);
  try {
    mkdirSync(`${root}/doomed`);
    symlinkSync('../kept', `${root}/doomed/link`);
    symlinkSync('kept', `${root}/doomed-link`);
    await removeTree(fd, 'doomed');
    await removeTree(fd, 'doomed-link');
    await assert.rejects(removeTree(fd, 'missing'), { kind: 'not-found' });
    assert.deepEqual(treeOf(root), { 'kept/': '', 'kept/f': 'kept' });
  } finally {
    closeFd(fd);
  }
});

test('openInRoot keeps to the root, and is not held up by a fifo', () => {
  const root = `${base}/in-root`;
  mkdirSync(`${root}/etc`, { recursive: true });
  symlinkSync('/etc/passwd', `${root}/absolute`);
  symlinkSync('../../../../etc/hostname', `${root}/etc/relative`);
  writeFileSync(`${root}/etc/passwd`, 'inside');
  const fd = openDirectory(root);
  try {
    makeNodeAt(fd, 'fifo', 'fifo', 0o666);
    for (const [path, text] of [
      ['absolute', 'inside'],
      ['fifo', ''],
    ] as const) {
      const file = openInRoot(fd, path, 'file');
      assert.equal(readFileSync(file, 'utf8'), text);
      closeFd(file);
    }
    assert.throws(() => openInRoot(fd, 'etc/relative', 'file'), { kind: 'not-found' });
    assert.throws(() => openInRoot(fd, '/proc/self/root/etc/passwd', 'file'), { kind: 'not-found' });
  } finally {
    closeFd(fd);
  }
});

/** Makes layers one on the other until it is killed; says when each is committed. */
const child = `
  import { graphDrivers } from '#snapshots/index.ts';
  import { layerTar, makeLayer } from '${fileURLToPath(new URL('../../src/snapshots/graph-driver-suite.ts', import.meta.url))}';
  const driver = await graphDrivers[process.argv.at(-2)]({ root: process.argv.at(-1) });
  for (let n = 0; ; n++) {
    const files = Object.fromEntries(Array.from({ length: 40 }, (_, i) => ['layer' + n + '/' + i, 'x'.repeat(1000 + n)]));
    await makeLayer(driver, 'layer' + n, n === 0 ? undefined : 'layer' + (n - 1), layerTar(files));
    console.log(n);
  }`;

test('a daemon that is killed while it unpacks leaves whole layers, and nothing else', async () => {
  for (const [name, layers] of [
    ['overlay2', 0],
    ['overlay2', 3],
    ['erofs', 0],
    ['erofs', 1],
    ['erofs', 3],
  ] as const) {
    const root = `${base}/killed-${name}-${layers}`;
    const process_ = spawn(process.execPath, ['--input-type=module-typescript', '-e', child, '--', name, root], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(process_, 'exit');
    for await (const line of createInterface(process_.stdout)) if (Number(line) >= layers) break;
    process_.kill('SIGKILL');
    await exit;
    await using driver = await graphDrivers[name]({ root });
    assert.deepEqual(readdirSync(`${root}/staging`), []);
    let last = 0;
    for await (const { size } of driver.layers()) {
      assert.equal(size % 40, 0);
      last++;
    }
    assert.ok(last > layers, `${last} layers`);
    await mounted(await driver.view(chainOf(`layer${last - 1}`)), (at) => {
      const tree = treeOf(at);
      for (let n = 0; n < last; n++)
        for (let i = 0; i < 40; i++) assert.equal(tree[`layer${n}/${i}`]?.length, 1000 + n, `layer${n}/${i}`);
    });
  }
});

test('many layers unpack at once, each whole', async () => {
  const driver = await createOverlay2Driver({ root: `${base}/parallel` });
  const body = Buffer.alloc(1_500_000, 7);
  const names = Array.from({ length: 6 }, (_, i) => `parallel${i}`);
  await Promise.all(
    names.map((name) => makeLayer(driver, name, undefined, packEntries([{ header: { name, type: 'file' }, body }]))),
  );
  for (const name of names)
    await mounted(await driver.view(chainOf(name)), (at) => assert.ok(readFileSync(`${at}/${name}`).equals(body)));
});
