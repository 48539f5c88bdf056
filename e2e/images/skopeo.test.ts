import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { startEngine } from '../harness/engine.ts';
import { startHub } from '../harness/hub.ts';
import { run } from '../harness/program.ts';

const skopeo = '/usr/bin/skopeo';
const skip = existsSync(skopeo) ? false : 'skopeo is not installed (apt-get install skopeo)';

test('skopeo reads our store as oci:, and copies to and from our hub', { skip }, async () => {
  const scratch = mkdtempSync(`${tmpdir()}/gantry-skopeo-`);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(scratch, { recursive: true, force: true }));
  const hub = undo.use(await startHub());
  await hub.addUser('ana', 'correct horse');
  const engine = undo.use(await startEngine());
  writeFileSync(`${scratch}/policy.json`, '{"default":[{"type":"insecureAcceptAnything"}]}');
  mkdirSync(`${scratch}/tmp`);
  const copies = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(skopeo, [
      '--policy',
      `${scratch}/policy.json`,
      '--tmpdir',
      `${scratch}/tmp`,
      ...args,
    ]);
    assert.equal(code, 0, `skopeo ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const ok = async (args: readonly string[], input?: string) => {
    const { code, stdout, stderr } = await engine.gantry(args, input === undefined ? {} : { input });
    assert.equal(code, 0, `gantry ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const id = (await ok(['images', '-q', '--no-trunc', 'busybox'])).trim();
  const store = `oci:${engine.root}/data/content`;
  const inspected = JSON.parse(await copies('inspect', `${store}:busybox:latest`)) as {
    Digest: string;
    Layers: string[];
  };
  assert.equal(inspected.Layers.length, 1);

  const account = 'ana:correct horse';
  const plain = (side: 'src' | 'dest') => [`--${side}-tls-verify=false`, `--${side}-creds`, account];
  await copies('copy', ...plain('dest'), `${store}:busybox:latest`, `docker://${hub.address}/ana/busybox:oci`);
  await ok(['login', hub.address, '-u', 'ana', '--password-stdin'], 'correct horse');
  await ok(['rmi', '-f', 'busybox']);
  await ok(['pull', `${hub.address}/ana/busybox:oci`]);
  assert.equal((await ok(['images', '-q', '--no-trunc'])).trim(), id);
  assert.equal(await ok(['run', '--rm', `${hub.address}/ana/busybox:oci`, 'echo', 'hello']), 'hello\n');
  const { Digest } = JSON.parse(
    await copies('inspect', '--tls-verify=false', '--creds', account, `docker://${hub.address}/ana/busybox:oci`),
  ) as { Digest: string };
  assert.equal(Digest, inspected.Digest);

  // In Docker's format, recompressed with zstd, and as an archive that load takes.
  for (const [tag, options] of [
    ['docker', ['--format', 'v2s2']],
    ['zstd', ['--dest-compress-format', 'zstd', '--format', 'oci']],
  ] as const) {
    const to = `docker://${hub.address}/ana/busybox:${tag}`;
    await copies('copy', ...plain('src'), ...plain('dest'), ...options, `docker://${hub.address}/ana/busybox:oci`, to);
    assert.equal(await ok(['run', '--rm', `${hub.address}/ana/busybox:${tag}`, 'echo', tag]), `${tag}\n`);
  }
  for (const kind of ['docker-archive', 'oci-archive']) {
    const file = `${scratch}/${kind}.tar`;
    await copies(
      'copy',
      ...plain('src'),
      `docker://${hub.address}/ana/busybox:oci`,
      `${kind}:${file}:copied/${kind}:v1`,
    );
    assert.match(await ok(['load', '-i', file]), new RegExp(`Loaded image: copied/${kind}:v1`));
  }
  assert.match(await ok(['system', 'check']), /no problem/);
});
