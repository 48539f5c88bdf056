import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gantryProgram, run, startService, stopProcess } from '../harness/program.ts';
import { type HubUnderTest, hubUnderTest } from './hub-under-test.ts';
import { pushImage, putManifest, smallImage } from './small-image.ts';

const blobsIn = (root: string) =>
  readdirSync(`${root}/content/blobs`, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const hubCommand = (...args: string[]) => run(gantryProgram, ['hub', ...args]);

test('hub gc frees, while the hub serves, all that nothing reaches, and nothing else', async () => {
  await using hub = await hubUnderTest();
  const ana = hub.basic('ana');
  const kept = await pushImage(ana, 'ana/kept', 'v1');
  const gone = await pushImage(ana, 'ana/gone', 'v1');
  await ana('DELETE', `/v2/ana/gone/manifests/${gone.manifest.digest}`);
  assert.match(await hub.admin('gc'), /^freed 1 blobs/, 'the manifest; its blobs may still be wanted for a day');
  assert.match(await hub.admin('gc', '--grace', '0'), /^freed 2 blobs/);
  assert.equal(blobsIn(hub.root).length, 3);
  for (const { digest } of [kept.layer, kept.config])
    assert.equal((await ana('GET', `/v2/ana/kept/blobs/${digest}`)).status, 200);
  await pushImage(ana, 'ana/gone', 'again', gone);
  assert.match(await hub.admin('check'), /^6 blobs, \d+ bytes: all good$/);
});

test('hub check names what is damaged and what is missing', async () => {
  await using hub = await hubUnderTest();
  const image = await pushImage(hub.basic('ana'), 'ana/x', 'v1');
  const fileOf = (digest: string) => `${hub.root}/content/blobs/${digest.replace(':', '/')}`;
  writeFileSync(fileOf(image.layer.digest), 'rotten');
  rmSync(fileOf(image.config.digest));
  const { code, stdout, stderr } = await hubCommand('check', '--data-root', hub.root);
  assert.equal(code, 1);
  assert.match(stdout, new RegExp(`${image.layer.digest} holds bytes of sha256:`));
  assert.match(stdout, new RegExp(`ana/x names ${image.config.digest}, which is not there`));
  assert.match(stderr, /problems/);
});

test('a backup taken while people push is whole, and a hub restored from it serves it', async () => {
  await using hub = await hubUnderTest();
  const ana = hub.basic('ana');
  await pushImage(ana, 'ana/first', 'v1');
  const root = mkdtempSync(join(tmpdir(), 'gantry-backup-'));
  try {
    const pushes = (async () => {
      for (let i = 0; i < 40; i++) await pushImage(ana, 'ana/busy', `v${i}`);
    })();
    assert.match(await hub.admin('backup', `${root}/backup`), /backed up to/);
    await pushes;
    const second = await hubCommand('backup', `${root}/backup`, '--data-root', hub.root);
    assert.match(second.stderr, /is not empty/);
    const restored = await hubCommand('restore', `${root}/backup`, '--data-root', `${root}/restored`);
    assert.match(restored.stdout, /all good/, restored.stderr);
    const { child, line } = await startService([
      ...['hub', 'serve', '--listen', '127.0.0.1:0', '--data-root', `${root}/restored`],
    ]);
    try {
      const url = /https?:\/\/\S+/.exec(line)?.[0] ?? assert.fail(line);
      assert.equal((await fetch(`${url}/v2/ana/first/manifests/v1`)).status, 200);
      const login = { authorization: `Basic ${Buffer.from('ana:correct horse battery').toString('base64')}` };
      assert.equal((await fetch(`${url}/v2/`, { headers: login })).status, 200);
    } finally {
      await stopProcess(child);
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

/** Pushes, deletes, mounts and collects at once, `rounds` times each; what was acknowledged and not deleted. */
async function churn(hub: HubUnderTest, rounds: number): Promise<Map<string, string>> {
  const standing = new Map<string, string>();
  const worker = async (who: number) => {
    const ask = hub.basic(who % 2 === 0 ? 'ana' : 'ben');
    const name = `${who % 2 === 0 ? 'ana' : 'ben'}/churn-${who}`;
    for (let round = 0; round < rounds; round++) {
      // Few contents among many, so that the same bytes come and go in several repositories.
      const image = smallImage(`content ${(who * 7 + round * 3) % 5}`);
      try {
        const pushed = await pushImage(ask, name, 'v1', image);
        standing.set(name, pushed.manifest.digest);
        if (round % 3 === 0) {
          standing.delete(name);
          await ask('DELETE', `/v2/${name}/manifests/${pushed.manifest.digest}`);
        }
        if (round % 4 === 0)
          await ask('POST', `/v2/${name}-m/blobs/uploads/?mount=${image.layer.digest}`).then((answer) => answer.text());
      } catch (error) {
        // A push may find its blob collected between its parts, and is then told so; or the hub was killed.
        const told = error instanceof assert.AssertionError || error instanceof TypeError;
        if (!told) throw error;
        standing.delete(name);
      }
    }
  };
  const collector = (async () => {
    for (let i = 0; i < 8; i++) await hubCommand('gc', '--grace', '0', '--data-root', hub.root);
  })();
  await Promise.all([...Array.from({ length: 6 }, (_, who) => worker(who)), collector]);
  return standing;
}

test('garbage is collected by another process amid pushes, mounts and deletions: no row is left without its bytes', async () => {
  await using hub = await hubUnderTest();
  const standing = await churn(hub, 40);
  for (const [name, digest] of standing) {
    const manifest = await hub.basic()('GET', `/v2/${name}/manifests/${digest}`);
    assert.equal(manifest.status, 200, name);
    const { config, layers } = (await manifest.json()) as { config: { digest: string }; layers: { digest: string }[] };
    for (const part of [config, ...layers]) {
      const blob = await hub.basic()('GET', `/v2/${name}/blobs/${part.digest}`);
      assert.equal(blob.status, 200, `${name} ${part.digest}`);
      await blob.arrayBuffer();
    }
  }
  assert.match(await hub.admin('check'), /all good/);
  await hub.admin('gc', '--grace', '0');
  assert.match(await hub.admin('check'), /all good/);
});

test('SIGKILL amid all of that, four times over: what was acknowledged is there, and the store is sound', async () => {
  await using hub = await hubUnderTest();
  for (let kill = 0; kill < 4; kill++) {
    const ana = hub.basic('ana');
    const kept = await pushImage(ana, 'ana/kept', `v${kill}`);
    const noise = Promise.allSettled(
      Array.from({ length: 4 }, async (_, i) => {
        for (let round = 0; round < 15; round++) {
          const image = await pushImage(ana, `ana/noise-${i}`, `v${round}`);
          await ana('DELETE', `/v2/ana/noise-${i}/manifests/${image.manifest.digest}`);
        }
      }),
    );
    const gc = hubCommand('gc', '--grace', '0', '--data-root', hub.root);
    await putManifest(ana, 'ana/kept', 'latest', kept.manifest);
    await hub.restart('SIGKILL');
    await Promise.all([noise, gc]);
    const got = await hub.basic()('GET', '/v2/ana/kept/manifests/latest');
    assert.equal(got.headers.get('docker-content-digest'), kept.manifest.digest);
    assert.match(await hub.admin('check'), /all good/);
  }
  assert.ok(statSync(`${hub.root}/hub.db`).size > 0);
});
