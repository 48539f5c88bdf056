import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { arm64Program } from './arm64-program.ts';
import { contextFolder } from './context-folder.ts';

// Where the host is the other processor, nothing here is foreign.
const options = { skip: process.arch === 'x64' ? false : 'the program is for arm64, and is run by QEMU for x86-64' };

let engine: Engine;
let context: string;
before(async () => {
  engine = await startEngine([], [`${import.meta.dirname}/with-qemu.sh`, `gantry-${process.pid}`]);
  context = contextFolder(engine, {
    Dockerfile: `FROM busybox AS on-amd64
COPY say.sh /say
FROM scratch AS on-arm64
COPY say.arm64 /say
FROM on-$TARGETARCH
RUN ["/say"]
CMD ["/say"]
`,
    'say.sh': '#!/bin/sh\nprintf "$(uname -m)" | tee /made\n',
    'say.arm64': arm64Program().toString('latin1'),
  });
});
after(() => engine[Symbol.asyncDispose]());

async function ok(args: readonly string[], on = engine): Promise<string> {
  const { code, stdout, stderr } = await on.gantry(args);
  assert.equal(code, 0, `gantry ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}
const build = (...args: readonly string[]) => ok(['build', '--progress=plain', ...args, context]);
const both = ['--platform', 'linux/arm64,linux/amd64'];

test(
  'steps for another processor run where binfmt_misc has an interpreter: an image, and an index of both',
  options,
  async () => {
    const output = await build('-t', 'foreign', '--platform', 'linux/arm64');
    assert.match(output, /RUN \["\/say"\]/);
    assert.match(output, /^#\d+ [\d.]+ aarch64$/m);
    assert.equal(await ok(['inspect', '-f', '{{.Architecture}}', 'foreign']), 'arm64\n');
    assert.equal(await ok(['run', '--rm', 'foreign']), 'aarch64');

    // By its id there is no other to be pulled: it is taken, and that is told.
    const id = (await ok(['inspect', '-f', '{{.Id}}', 'foreign']))
      .trim()
      .slice('sha256:'.length, 'sha256:'.length + 12);
    const check = ['build', '--check', contextFolder(engine, { Dockerfile: `FROM ${id}\nCMD ["/say"]\n` })];
    const { stdout } = await engine.gantry(check);
    assert.match(stdout, /InvalidBaseImagePlatform/);
    assert.match(stdout, /pulled with platform "linux\/arm64", expected "linux\/amd64"/);
    await ok([...check, '--platform', 'linux/arm64']);

    await build('-t', 'of-both', ...both);
    assert.equal(await ok(['run', '--rm', 'of-both']), 'x86_64');
    await ok(['save', '-o', `${engine.root}/both.tar`, 'of-both']);
    const read = (name: string) =>
      JSON.parse(execFileSync('tar', ['-xOf', `${engine.root}/both.tar`, name], { encoding: 'utf8' })) as {
        manifests: { digest: string; platform: { architecture: string } }[];
      };
    const [index] = read('index.json').manifests;
    const { manifests } = read(`blobs/${index?.digest.replace(':', '/')}`);
    assert.deepEqual(
      manifests.map(({ platform }) => platform.architecture),
      ['amd64', 'arm64'],
    );
  },
);

test('a stage of its own platform is built and run as such, whatever the image is for', options, async () => {
  const mixed = contextFolder(engine, {
    Dockerfile: `FROM --platform=linux/arm64 scratch AS foreign
COPY say.arm64 /say
RUN ["/say"]
FROM busybox
COPY --from=foreign /made /made
RUN uname -m >> /made
`,
    'say.arm64': arm64Program().toString('latin1'),
  });
  await ok(['build', '-t', 'mixed', mixed]);
  assert.equal(await ok(['run', '--rm', 'mixed', 'cat', '/made']), 'aarch64x86_64\n');
});

test(
  'files of several platforms go each to a directory of its own, and their cache serves a host without QEMU',
  options,
  async () => {
    const dest = `${engine.root}/files`;
    await build(...both, '-o', dest);
    assert.deepEqual(readdirSync(dest).sort(), ['linux_amd64', 'linux_arm64']);
    assert.equal(readFileSync(`${dest}/linux_arm64/made`, 'utf8'), 'aarch64');
    assert.equal(readFileSync(`${dest}/linux_amd64/made`, 'utf8'), 'x86_64');
    await build(...both, '-o', `type=tar,dest=${engine.root}/files.tar`);
    const names = execFileSync('tar', ['-tf', `${engine.root}/files.tar`], { encoding: 'utf8' });
    assert.match(names, /^linux_arm64\/made$/m);

    const cache = `${engine.root}/cache`;
    await build(...both, '-t', 'cached', '--cache-to', `type=local,dest=${cache}`);
    await using second = await startEngine();
    const args = ['build', ...both, '-t', 'cached', '--explain-cache', '--progress=plain'];
    const refused = await second.gantry([...args, context]);
    assert.match(refused.stderr, /this host cannot run programs for linux\/arm64; set up binfmt_misc/);
    await ok(['save', '-o', `${engine.root}/base.tar`, 'busybox']);
    await ok(['load', '-i', `${engine.root}/base.tar`], second);
    const served = await ok([...args, '--cache-from', `type=local,src=${cache}`, context], second);
    assert.doesNotMatch(served, /^MISS/m);
    assert.equal(served.match(/^HIT/gm)?.length, 4, served);
  },
);
