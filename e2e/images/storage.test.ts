import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { tarOf } from './sample-image.ts';

let engine: Engine;
before(async () => {
  engine = await startEngine();
});
after(() => engine[Symbol.asyncDispose]());

const ok = async (args: readonly string[], input?: Buffer) => {
  const { code, stdout, stderr } = await engine.gantry(args, input === undefined ? {} : { input });
  assert.equal(code, 0, `gantry ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
};
const inspect = async (name: string) => JSON.parse(await ok(['image', 'inspect', name]))[0];

test('commit makes an image of what a container changed, with --change, and history tells unpacked sizes', async () => {
  await ok(['run', '--name', 'changed', '-e', 'A=1', 'busybox', 'sh', '-c', 'echo made > /made; rm -r /usr']);
  const id = (
    await ok([
      ...['commit', '-a', 'ana', '-m', 'by hand', '-c', 'CMD ["cat", "/made"]', '-c', 'ENV B=$A', '-c', 'EXPOSE 80'],
      ...['changed', 'made:v1'],
    ])
  ).trim();
  assert.match(id, /^sha256:[0-9a-f]{64}$/);
  const image = await inspect('made:v1');
  assert.equal(image.Id, id);
  assert.equal(image.Author, 'ana');
  assert.equal(image.Comment, 'by hand');
  assert.deepEqual(image.Config.Cmd, ['cat', '/made']);
  assert.ok(image.Config.Env.includes('A=1') && image.Config.Env.includes('B=1'), String(image.Config.Env));
  assert.deepEqual(image.Config.ExposedPorts, { '80/tcp': {} });
  assert.equal(await ok(['run', '--rm', 'made:v1']), 'made\n');
  assert.equal((await engine.gantry(['run', '--rm', 'made:v1', 'ls', '/usr'])).code, 1);
  const history = await ok(['history', '--human=false', '--format', '{{.Size}} {{.Comment}}', 'made:v1']);
  assert.match(history, /^5 by hand\n\d{6,} Imported from -\n$/);

  // A container that runs is paused meanwhile, and goes on; the stock client does it too.
  await ok(['run', '-d', '--name', 'runs', 'busybox', 'sleep', '1000']);
  const { code, stdout } = await engine.docker(['commit', '--change', 'USER 7', 'runs', 'made:v2']);
  assert.equal(code, 0);
  assert.equal((await inspect(stdout.trim())).Config.User, '7');
  assert.equal(await ok(['inspect', '-f', '{{.State.Status}}', 'runs']), 'running\n');
  const wrong = await engine.gantry(['commit', '-c', 'RUN x', 'runs']);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /RUN is not a valid change command/);
  await ok(['rm', '-f', 'runs', 'changed']);
});

test('import --change configures the image', async () => {
  const input = await tarOf({ a: 'a' });
  await ok(['import', '-c', 'ENTRYPOINT ["/a"]', '-c', 'LABEL x=y', '-', 'imported:v1'], input);
  const { Config } = await inspect('imported:v1');
  assert.deepEqual([Config.Entrypoint, Config.Labels], [['/a'], { x: 'y' }]);
  assert.match(
    (await engine.gantry(['import', '-c', 'COPY a b', '-', 'x'], { input })).stderr,
    /COPY is not a valid change/,
  );
});

test('system df adds up to what du says, and says what images share', async () => {
  await ok(['import', '-', 'large:v1'], await tarOf({ 'var/noise': randomBytes(24 << 20) }));
  await ok([
    'run',
    '--name',
    'writes',
    '-v',
    'gtvolume:/data',
    'busybox',
    'sh',
    '-c',
    'head -c 5000000 /dev/urandom | tee /data/x > /x',
  ]);
  await ok(['commit', 'writes', 'child:v1']);
  const { body } = await engine.api('GET', '/v1.51/system/df');
  const df = body as {
    LayersSize: number;
    Images: { RepoTags: string[]; Size: number; SharedSize: number }[];
    Containers: { SizeRw: number }[];
    Volumes: { Name: string; UsageData: { Size: number; RefCount: number } }[];
    BuildCache: { Size: number }[];
    Gantry: { EngineSize: number };
  };
  const sum = (sizes: number[]) => sizes.reduce((a, b) => a + b, 0);
  const told = sum([
    df.LayersSize,
    df.Gantry.EngineSize,
    ...df.Containers.map(({ SizeRw }) => SizeRw),
    ...df.Volumes.map(({ UsageData }) => UsageData.Size),
    ...df.BuildCache.map(({ Size }) => Size),
  ]);
  const du = Number(execFileSync('du', ['-s', '-B1', `${engine.root}/data`], { encoding: 'utf8' }).split('\t')[0]);
  assert.ok(Math.abs(told - du) < du * 0.02, `df says ${told}, du ${du}`);
  assert.ok(df.LayersSize > 48 << 20 && df.LayersSize > du * 0.7);
  const volume = df.Volumes.find(({ Name }) => Name === 'gtvolume')?.UsageData;
  assert.ok(volume !== undefined && volume.RefCount === 1 && volume.Size >= 5_000_000 && volume.Size < 5_100_000);
  const busybox = df.Images.find(({ RepoTags }) => RepoTags.includes('busybox:latest'));
  assert.ok(busybox !== undefined && busybox.SharedSize > 1_000_000 && busybox.SharedSize < busybox.Size);

  const ours = await ok(['system', 'df']);
  const theirs = await engine.docker(['system', 'df']);
  assert.equal(theirs.code, 0, theirs.stderr);
  const column = (text: string, at: number) =>
    text
      .split('\n')
      .slice(1, 4)
      .map((line) => line.split(/\s{2,}/)[at]);
  for (const at of [0, 1, 2, 3]) assert.deepEqual(column(ours, at), column(theirs.stdout, at));
  assert.match(await ok(['system', 'df', '-v']), /child +v1 .+writes\n.+gtvolume +1 +5\.\d+MB/s);
  assert.equal((await engine.docker(['system', 'df', '-v'])).code, 0);
  assert.match(await ok(['images', '--format', '{{.Repository}} {{.SharedSize}}']), /child \d/);
});

test('image prune takes what has no tag, or all that nobody uses, by filter', async () => {
  await ok(['import', '-c', 'LABEL keep=yes', '-', 'moved:v1'], await tarOf({ one: '1' }));
  const first = (await inspect('moved:v1')).Id;
  await ok(['import', '-', 'moved:v1'], await tarOf({ two: '2' }));
  assert.equal(await ok(['image', 'prune', '-f', '--filter', 'label!=keep']), 'Total reclaimed space: 0B\n');
  assert.equal(await ok(['image', 'prune', '-f', '--filter', 'until=24h']), 'Total reclaimed space: 0B\n');
  const pruned = await ok(['image', 'prune', '-f']);
  assert.match(pruned, new RegExp(`^Deleted Images:\\ndeleted: ${first}\\n(?:.|\\n)*Total reclaimed space: [1-9]`));
  assert.equal((await engine.gantry(['image', 'prune', '-f', '--filter', 'name=x'])).code, 1);
  const all = await engine.docker(['image', 'prune', '-a', '-f']);
  assert.match(all.stdout, /untagged: large:v1/);
  const left = await ok(['images', '--format', '{{.Repository}}']);
  assert.deepEqual(left.trim().split('\n').toSorted(), ['busybox']); // `writes` uses it
});

test('system check finds and repairs what was done to the data root; system prune leaves nothing unused', async () => {
  assert.match(await ok(['system', 'check']), /^\d+ images, \d+ layers, \d+ blobs: no problem\n$/);
  await ok(['import', '-', 'victim:v1'], await tarOf({ file: 'right' }));
  const { RootFS } = await inspect('victim:v1');
  const driver = (await ok(['info', '--format', '{{.Driver}}'])).trim();
  const layer = `${engine.root}/data/${driver}/layers/${RootFS.Layers[0].slice(7)}`;
  const image = `${layer}/layer.erofs`;
  if (driver === 'erofs') writeFileSync(image, readFileSync(image, 'latin1').replace('right', 'wrong'), 'latin1');
  else writeFileSync(`${layer}/diff/file`, 'wrong');
  rmSync(`${engine.root}/data/content/index.json`);
  const found = await engine.gantry(['system', 'check']);
  assert.equal(found.code, 1);
  assert.match(found.stdout, /layer sha256:.* it is not what its blob unpacks to: "file" differs/);
  assert.match(found.stdout, /index index\.json/);
  assert.equal((await engine.gantry(['system', 'check', '--quick'])).stdout.includes('differs'), false);
  assert.match(await ok(['system', 'check', '--repair']), /2 problems, 2 repaired\n$/);
  assert.match(await ok(['system', 'check']), /no problem/);
  await ok(['system', 'prune', '-a', '-f', '--volumes']);
  assert.equal(await ok(['images', '-q']), '');
  assert.equal(await ok(['ps', '-aq']), '');
  assert.match(await ok(['system', 'check']), /^0 images, 0 layers, 0 blobs: no problem\n$/);
});
