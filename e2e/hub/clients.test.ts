// The clients that people have, against the hub: each installed by Debian, each with its own idea of a push.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { run } from '../harness/program.ts';
import { hubUnderTest, passwords } from './hub-under-test.ts';
import { pushImage, smallImage } from './small-image.ts';

const missing = (program: string) => !existsSync(program) && `${program} is not on this machine`;

/** A directory with an OCI layout of one image in it, as `oci:<directory>:v1`. */
function layoutOf(directory: string, image: ReturnType<typeof smallImage>): void {
  mkdirSync(`${directory}/blobs/sha256`, { recursive: true });
  for (const { digest, bytes } of [image.layer, image.config, image.manifest])
    writeFileSync(`${directory}/blobs/${digest.replace(':', '/')}`, bytes);
  writeFileSync(`${directory}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
  const descriptor = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: image.manifest.digest,
    size: image.manifest.bytes.length,
    annotations: { 'org.opencontainers.image.ref.name': 'v1' },
  };
  writeFileSync(`${directory}/index.json`, JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }));
}

test('skopeo logs in, copies there and back, lists, inspects and deletes', {
  skip: missing('/usr/bin/skopeo'),
}, async () => {
  await using hub = await hubUnderTest();
  const directory = mkdtempSync(`${tmpdir()}/gantry-skopeo-`);
  try {
    const host = new URL(hub.url).host;
    const env = { REGISTRY_AUTH_FILE: `${directory}/auth.json` };
    const skopeo = async (...args: string[]) => {
      const { code, stdout, stderr } = await run('skopeo', args, { env });
      assert.equal(code, 0, `skopeo ${args.join(' ')}: ${stderr}`);
      return stdout;
    };
    const image = smallImage('by skopeo');
    layoutOf(`${directory}/layout`, image);
    await skopeo('login', '--tls-verify=false', '-u', 'ana', '-p', passwords.ana ?? '', host);
    const name = `docker://${host}/ana/by-skopeo`;
    await skopeo('copy', '--preserve-digests', '--dest-tls-verify=false', `oci:${directory}/layout:v1`, `${name}:v1`);
    await skopeo(
      'copy',
      '--preserve-digests',
      '--src-tls-verify=false',
      '--dest-tls-verify=false',
      `${name}:v1`,
      `${name}:v2`,
    );
    const tags = JSON.parse(await skopeo('list-tags', '--tls-verify=false', name)) as { Tags: string[] };
    assert.deepEqual(tags.Tags, ['v1', 'v2']);
    const raw = await skopeo('inspect', '--raw', '--tls-verify=false', `${name}:v2`);
    assert.equal(raw, image.manifest.bytes.toString());
    await skopeo('copy', '--preserve-digests', '--src-tls-verify=false', `${name}:v1`, `oci:${directory}/back:v1`);
    const back = readFileSync(`${directory}/back/blobs/${image.layer.digest.replace(':', '/')}`);
    assert.deepEqual(back, image.layer.bytes);
    await skopeo('delete', '--tls-verify=false', `${name}:v1`);
    const gone = await run('skopeo', ['inspect', '--raw', '--tls-verify=false', `${name}:v1`], { env });
    assert.match(gone.stderr, /manifest unknown/);
    const other = await run(
      'skopeo',
      ['copy', '--dest-tls-verify=false', `oci:${directory}/layout:v1`, `docker://${host}/ben/x:v1`],
      { env },
    );
    assert.match(other.stderr, /denied/i);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('podman logs in with a token and pushes no more than the token says', {
  skip: missing('/usr/bin/podman'),
}, async () => {
  await using hub = await hubUnderTest();
  const directory = mkdtempSync(`${tmpdir()}/gantry-podman-`);
  try {
    const host = new URL(hub.url).host;
    const env = { REGISTRY_AUTH_FILE: `${directory}/auth.json` };
    const storage = ['--root', `${directory}/root`, '--runroot', `${directory}/run`, '--storage-driver', 'vfs'];
    const podman = (...args: string[]) => run('podman', [...storage, ...args], { env });
    const must = async (...args: string[]) => {
      const { code, stdout, stderr } = await podman(...args);
      assert.equal(code, 0, `podman ${args.join(' ')}: ${stderr}`);
      return stdout.trim();
    };
    writeFileSync(`${directory}/hello`, 'hello\n');
    await run('tar', ['-cf', `${directory}/root.tar`, '-C', directory, 'hello']);
    const name = `${host}/ana/by-podman`;
    await must('import', `${directory}/root.tar`, `${name}:v1`);
    const token = await hub.admin('token', 'add', 'ana', 'podman', '--scope', 'create');
    await must('login', '--tls-verify=false', '-u', 'ana', '-p', token, host);
    await must('push', '--tls-verify=false', `${name}:v1`);
    await must('rmi', `${name}:v1`);
    const id = await must('pull', '--quiet', '--tls-verify=false', `${name}:v1`);
    assert.match(id, /^[0-9a-f]{64}$/);
    await pushImage(hub.basic('ana'), 'ana/by-podman', 'taken');
    await must('tag', `${name}:v1`, `${name}:taken`);
    const refused = await podman('push', '--tls-verify=false', `${name}:taken`);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /denied|may add tags but not move/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
