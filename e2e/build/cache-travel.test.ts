import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { type Hub, startHub } from '../harness/hub.ts';

let hub: Hub;
let first: Engine;
before(async () => {
  hub = await startHub();
  await hub.addUser('ana', 'ana-password');
  first = await startEngine();
});
after(async () => {
  await first[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
});

const Dockerfile = `FROM busybox AS tools
RUN echo tool > /tool
FROM busybox
RUN echo one > /one
COPY --from=tools /tool /tool
RUN cat /tool /one > /both
`;

/** Another engine with the same base image and nothing else, signed in. */
async function freshEngine(): Promise<Engine> {
  const engine = await startEngine();
  await run(first, ['save', '-o', `${engine.root}/base.tar`, 'busybox']);
  await run(engine, ['load', '-i', `${engine.root}/base.tar`]);
  await login(engine);
  return engine;
}
const login = (engine: Engine) => run(engine, ['login', '-u', 'ana', '--password-stdin', hub.address], 'ana-password');

async function run(engine: Engine, args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await engine.gantry(args, { input });
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

async function build(
  engine: Engine,
  dockerfile: string,
  ...args: readonly string[]
): Promise<{ output: string; missed: readonly string[] }> {
  const context = `${engine.root}/context`;
  mkdirSync(context, { recursive: true });
  writeFileSync(`${context}/Dockerfile`, dockerfile);
  const output = await run(engine, ['build', '--progress=plain', '--explain-cache', ...args, context]);
  return { output, missed: output.split('\n').filter((line) => line.startsWith('MISS')) };
}

test('a cache in a registry, in the image or in a directory serves another engine', async () => {
  await login(first);
  const image = `${hub.address}/ana/app:v1`;
  const inRegistry = `${hub.address}/ana/cache:main`;
  await build(first, Dockerfile, '-t', image, '--push', '--cache-to', 'type=inline');
  await build(first, Dockerfile, '--cache-to', `type=registry,ref=${inRegistry},mode=max`);
  const directory = `${first.root}/cache`;
  await build(first, Dockerfile, '--cache-to', `type=local,dest=${directory}`);
  assert.ok(readdirSync(directory).includes('oci-layout'));

  await using second = await freshEngine();
  const inline = await build(second, Dockerfile, '--cache-from', image);
  // What the image is made of is known; the stage it copied from is not.
  assert.deepEqual(
    inline.missed.map((line) => line.slice(5, 16)),
    ['[tools 2/2]'],
  );
  assert.match(inline.output, /importing cache from .*: 3 steps|Successfully built/);

  await using third = await freshEngine();
  assert.deepEqual((await build(third, Dockerfile, '--cache-from', inRegistry)).missed, []);

  await using fourth = await freshEngine();
  const local = await build(fourth, Dockerfile, '-t', 'app', '--cache-from', `type=local,src=${directory}`);
  assert.equal(local.missed.length, 1);
  assert.equal(await run(fourth, ['run', '--rm', 'app', 'cat', '/both']), 'tool\none\n');
  // A cache that cannot be had is no reason to fail.
  await build(fourth, Dockerfile, '--cache-from', `${hub.address}/ana/nothing:here`);
});

test('a cache of several platforms in a registry has the steps of each, and builds that write one at once wait', async () => {
  const native = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const other = native === 'arm64' ? 'amd64' : 'arm64';
  const files = `FROM scratch AS data
ARG TARGETARCH
COPY Dockerfile /for-$TARGETARCH
FROM scratch
COPY --from=data / /copied
`;
  await login(first);
  const cache = `${hub.address}/ana/cache:both`;
  const args = ['--platform', `linux/${other},linux/${native}`, '-t', 'both'];
  const to = ['--cache-to', `type=registry,ref=${cache},mode=max`];
  await Promise.all([1, 2, 3].map(() => build(first, files, ...args, ...to)));
  assert.doesNotMatch(await run(first, ['images', '-a']), /cache\s+both /);
  await using second = await freshEngine();
  const served = await build(second, files, ...args, '--cache-from', cache);
  assert.deepEqual(served.missed, []);
  assert.equal(served.output.match(/^HIT/gm)?.length, 4, served.output);
});
