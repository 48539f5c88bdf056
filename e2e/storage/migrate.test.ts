import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { driverNames, type GraphDriver, graphDrivers } from '#snapshots/index.ts';
import { openStorage } from '../../src/daemon/storage-driver.ts';
import { chainOf, layerTar, makeLayer } from '../../src/snapshots/graph-driver-suite.ts';
import { startEngine } from '../harness/engine.ts';

test('images and containers move from one storage driver to another', async () => {
  await using engine = await startEngine();
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await engine.gantry(args);
    assert.equal(code, 0, `gantry ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout.trim();
  };
  await ok(
    'run',
    '--name',
    'first',
    'busybox',
    'sh',
    '-c',
    'mkdir /made; echo one > /made/f; chown 5:6 /made; rm /bin/vi',
  );
  await ok('commit', 'first', 'made:v1');
  await ok('run', '--name', 'box', 'made:v1', 'sh', '-c', 'echo two > /made/g; rm /made/f; rm -r /usr; ln -s /made /l');
  await ok('run', '-d', '--name', 'busy', 'made:v1', 'sleep', '1000');
  const changes = (await ok('diff', 'box')).split('\n').toSorted();
  const ids = await ok('images', '-aq', '--no-trunc');
  const present = () =>
    readdirSync(`${engine.root}/data`).filter((name) => driverNames.some((d) => name.startsWith(d)));
  const before = (await ok('info', '--format', '{{.Driver}}')).trim();

  const first = before === 'erofs' ? 'overlay2' : 'erofs';
  await assert.rejects(engine.restart(['--storage-driver', first]), /stored by \w+, not \w+; add --migrate-storage/);
  await assert.rejects(
    engine.restart(['--storage-driver', first, '--migrate-storage']),
    /the container busy is running on the storage/,
  );
  await engine.restart();
  await ok('rm', '-f', 'busy');

  for (const driver of [first, 'vfs', 'overlay2']) {
    await engine.restart(['--storage-driver', driver, '--migrate-storage']);
    assert.equal(await ok('info', '--format', '{{.Driver}}'), driver);
    assert.deepEqual(present(), [driver]);
    assert.equal(await ok('images', '-aq', '--no-trunc'), ids);
    assert.deepEqual((await ok('diff', 'box')).split('\n').toSorted(), changes, driver);
    await ok('system', 'check');
    assert.equal(
      await ok('run', '--rm', 'made:v1', 'sh', '-c', 'cat /made/f; stat -c %u:%g /made; ls /bin/vi 2>&1; true'),
      ['one', '5:6', 'ls: /bin/vi: No such file or directory'].join('\n'),
    );
    assert.equal(await ok('run', '--rm', '--volumes-from', 'box', 'made:v1', 'cat', '/made/f'), 'one');
    const { body } = await engine.api('GET', '/system/df');
    const df = body as {
      readonly LayersSize: number;
      readonly Containers: readonly { readonly SizeRw?: number }[];
      readonly Gantry: { readonly EngineSize: number };
    };
    const told = df.LayersSize + df.Gantry.EngineSize + df.Containers.reduce((sum, { SizeRw = 0 }) => sum + SizeRw, 0);
    const du = Number(execFileSync('du', ['-s', '-B1', `${engine.root}/data`], { encoding: 'utf8' }).split('\t')[0]);
    assert.ok(Math.abs(told - du) < du * 0.02, `${driver}: df says ${told}, du ${du}`);
  }
  await engine.restart(); // without a word, it is the driver that the data root has
  assert.equal(await ok('info', '--format', '{{.Driver}}'), 'overlay2');
  assert.equal(existsSync(`${engine.root}/data/vfs`), false);
});

test('a move that is interrupted leaves the old driver or the new one, whole, and goes on', async () => {
  const dataRoot = mkdtempSync('/var/tmp/gantry-move-');
  try {
    const old = await graphDrivers.overlay2({ root: `${dataRoot}/overlay2` });
    await makeLayer(old, 'one', undefined, layerTar({ f: '1' }));
    await makeLayer(old, 'two', 'one', layerTar({ g: '2' }));
    const names = () => readdirSync(dataRoot).toSorted();
    let copied = 0;
    const move = async (from: GraphDriver, to: GraphDriver) => {
      for (const [name, parent] of [['one'], ['two', 'one']] as const) {
        if (await to.hasLayer(chainOf(name))) continue;
        await makeLayer(to, name, parent, await from.layerDiff(chainOf(name)));
        if (++copied === 1) throw new Error('pulled the plug');
      }
    };
    const asked = { dataRoot, migrate: true, move, log: () => undefined };
    await assert.rejects(openStorage({ ...asked, asked: 'erofs' }), /pulled the plug/);
    await using still = await openStorage({ ...asked, asked: undefined });
    assert.equal(still.name, 'overlay2');
    await using moved = await openStorage({ ...asked, asked: 'erofs' });
    assert.deepEqual([moved.name, copied, names()], ['erofs', 2, ['erofs']]);

    // Between the two renames.
    renameSync(`${dataRoot}/erofs`, `${dataRoot}/erofs.part`);
    mkdirSync(`${dataRoot}/overlay2.moved/layers/some`, { recursive: true });
    await using finished = await openStorage({ ...asked, asked: undefined });
    assert.deepEqual([finished.name, names()], ['erofs', ['erofs']]);
    assert.ok(await finished.hasLayer(chainOf('two')));
  } finally {
    rmSync(dataRoot, { recursive: true });
  }
});
