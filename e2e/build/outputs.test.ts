import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { contextFolder, type Files } from './context-folder.ts';

let engine: Engine;
before(async () => {
  engine = await startEngine();
});
after(() => engine[Symbol.asyncDispose]());

const contextOf = (files: Files) => contextFolder(engine, files);
async function ok(args: readonly string[], env = {}): Promise<string> {
  const { code, stdout, stderr } = await engine.gantry(args, { env });
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}
const build = (files: Files, args: readonly string[] = [], env = {}) =>
  ok(['build', '--progress=plain', ...args, contextOf(files)], env);

const rootfs = {
  Dockerfile: `FROM busybox AS made
RUN mkdir -p /out/dir && echo text > /out/dir/file && ln -s file /out/dir/link && chmod 750 /out/dir
FROM scratch AS files
COPY --from=made /out /
FROM busybox
RUN false
`,
};

test('-o writes the target as a directory or a tar, and makes no image of it', async () => {
  const before = (await ok(['images', '-aq'])).split('\n').length;
  const dest = `${engine.root}/out`;
  await build(rootfs, ['--target', 'files', '-o', dest]);
  assert.deepEqual(readdirSync(`${dest}/dir`).sort(), ['file', 'link']);
  assert.equal(lstatSync(`${dest}/dir`).mode & 0o7777, 0o750);
  assert.equal(readFileSync(`${dest}/dir/link`, 'utf8'), 'text\n');
  await build(rootfs, ['--target', 'files', '-o', `type=tar,dest=${engine.root}/out.tar`]);
  assert.match(execFileSync('tar', ['tf', `${engine.root}/out.tar`], { encoding: 'utf8' }), /^dir\/file$/m);
  assert.equal((await ok(['images', '-aq'])).split('\n').length, before);
  // What goes to stdout is the tar and nothing else.
  const tar = execFileSync('tar', ['-t'], {
    input: Buffer.from(await build(rootfs, ['--target', 'files', '-o', '-'])),
  });
  assert.match(tar.toString(), /^dir\/file$/m);
  const refused = await engine.gantry(['build', '-o', dest, '-o', 'type=docker', contextOf(rootfs)]);
  assert.match(refused.stderr, /writes either files .* or an image/);
});

test('-o type=oci|docker writes an archive that loads again; --iidfile and --metadata-file tell what it was', async () => {
  const archive = `${engine.root}/image.tar`;
  const files = { Dockerfile: 'FROM busybox\nLABEL a=1\nRUN echo x > /x\n' };
  const about = ['--iidfile', `${engine.root}/iid`, '--metadata-file', `${engine.root}/metadata`];
  await build(files, ['-t', 'one:a', '-t', 'two', '-o', `type=oci,dest=${archive}`, ...about]);
  const names = execFileSync('tar', ['tf', archive], { encoding: 'utf8' });
  for (const name of ['oci-layout', 'index.json', 'manifest.json']) assert.match(names, new RegExp(`^${name}$`, 'm'));
  const id = readFileSync(`${engine.root}/iid`, 'utf8');
  const metadata = JSON.parse(readFileSync(`${engine.root}/metadata`, 'utf8')) as Record<string, string>;
  assert.equal(metadata['containerimage.config.digest'], id);
  assert.match(metadata['containerimage.digest'] ?? '', /^sha256:[0-9a-f]{64}$/);
  assert.equal(metadata['image.name'], 'one:a,two:latest');
  await ok(['rmi', 'one:a', 'two']);
  assert.match(await ok(['load', '-i', archive]), /one:a/);
  assert.equal((await ok(['inspect', '-f', '{{.Id}}', 'two'])).trim(), id);
});

test('--build-context names a directory, an image or a URL, before stages and images of that name', async () => {
  const server = createServer((_request, response) => response.end('FROM busybox\nRUN echo from-url > /said\n'));
  const url = await new Promise<string>((resolve) =>
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/Dockerfile`);
    }),
  );
  try {
    const other = contextOf({ 'deep/file': 'from-directory', skipped: '', '.dockerignore': 'skipped' });
    const Dockerfile = `FROM base
COPY --from=dir deep/file /file
RUN --mount=type=bind,from=dir,target=/m ls /m > /list
COPY --from=remote Dockerfile /fetched
`;
    const contexts = ['base=docker-image://busybox', `dir=${other}`, `remote=${url}`];
    await build({ Dockerfile }, ['-t', 'named', ...contexts.flatMap((one) => ['--build-context', one])]);
    const said = await ok(['run', '--rm', 'named', 'cat', '/file', '/list', '/fetched']);
    assert.equal(said, 'from-directorydeep\nFROM busybox\nRUN echo from-url > /said\n');
    // The same URL as the whole context is a Dockerfile.
    await ok(['build', '-t', 'by-url', url]);
    assert.equal(await ok(['run', '--rm', 'by-url', 'cat', '/said']), 'from-url\n');
  } finally {
    server.close();
  }
});

test('SOURCE_DATE_EPOCH: two engines make the same image to the last byte', async () => {
  await using second = await startEngine();
  // The same base: what it was imported at is part of it.
  await ok(['save', '-o', `${engine.root}/base.tar`, 'busybox']);
  await second.gantry(['load', '-i', `${engine.root}/base.tar`]);
  const Dockerfile = `FROM busybox AS a
RUN mkdir /d && echo 1 > /d/f && ln -s f /d/l && rm /etc/group
FROM busybox
WORKDIR /w
COPY --from=a /d /d
COPY file .
RUN date > /dev/null; echo built > /w/out; touch -d @5 /w/old; rm /etc/group
CMD ["x"]
`;
  const directory = contextOf({ Dockerfile, file: 'content' });
  const env = { SOURCE_DATE_EPOCH: '1000000' };
  const made = await Promise.all(
    [engine, second].map(async (one) => {
      const { code, stderr } = await one.gantry(['build', '-q', '--no-cache', '-t', 'same', directory], { env });
      assert.equal(code, 0, stderr);
      const { stdout } = await one.gantry(['inspect', '-f', '{{.Id}} {{.Created}} {{.Descriptor.digest}}', 'same']);
      const saved = `${one.root}/same.tar`;
      await one.gantry(['save', '-o', saved, 'same']);
      return { stdout, bytes: createHash('sha256').update(readFileSync(saved)).digest('hex') };
    }),
  );
  assert.deepEqual(made[0], made[1]);
  assert.match(made[0]?.stdout ?? '', / 1970-01-12T13:46:40\.000Z /);
  assert.equal(
    await ok(['run', '--rm', 'same', 'stat', '-c', '%Y', '/w/out', '/w/old', '/d/f']),
    '1000000\n5\n1000000\n',
  );
});

test('--squash makes one layer of many, and --check names mistakes by their rules', async () => {
  const Dockerfile = 'FROM busybox\nRUN echo 1 > /a\nRUN echo 2 > /b && rm /a /etc/group\nRUN echo 3 > /c\n';
  await build({ Dockerfile }, ['-t', 'squashed', '--squash']);
  const layers = JSON.parse(await ok(['inspect', '-f', '{{json .RootFS.Layers}}', 'squashed'])) as string[];
  assert.equal(layers.length, 2);
  assert.equal(
    await ok(['run', '--rm', 'squashed', 'sh', '-c', 'cat /b /c; ls -d /a /etc/group 2>/dev/null || true']),
    '2\n3\n',
  );
  const bad = contextOf({ Dockerfile: 'FROM busybox AS Up\nCMD run me\nENV KEY value here\nWORKDIR rel\n' });
  const { code, stdout } = await engine.gantry(['build', '--check', bad]);
  assert.equal(code, 1);
  for (const rule of ['StageNameCasing', 'JSONArgsRecommended', 'LegacyKeyValueFormat', 'WorkdirRelativePath'])
    assert.match(stdout, new RegExp(`WARNING: ${rule} - https://docs.docker.com/`));
  assert.match(await ok(['build', '--check', contextOf({ Dockerfile: 'FROM busybox\nCMD ["x"]\n' })]), /no warnings/);
});

test('why a step runs again is told to the file, variable and argument that differ', async () => {
  const Dockerfile = 'FROM busybox\nARG V=1\nENV E=1\nRUN echo $V$E > /v\nCOPY src /src\nRUN ls /src > /l\n';
  const files = { Dockerfile, 'src/a': '1', 'src/b': '2' };
  const why = (changed: Files, args: readonly string[] = []) =>
    build({ ...files, ...changed }, ['--explain-cache', ...args]);
  assert.match(await why({}), /MISS \[2\/4\] RUN .*\n\s+(?:it was never run before|no step like it)/);
  assert.match(await why({}), /HIT {2}\[2\/4\].*\nHIT {2}\[3\/4\].*\nHIT {2}\[4\/4\]/);
  const copied = await why({ 'src/a': 'changed', 'src/new': '' });
  assert.match(copied, /HIT {2}\[2\/4\]/);
  assert.match(copied, /MISS \[3\/4\] COPY src \/src\n\s+a changed; new is new|src\/a changed; src\/new is new/);
  assert.match(copied, /MISS \[4\/4\].*\n\s+a step before it has another result/);
  assert.match(await why({}, ['--build-arg', 'V=2']), /ARG V was "1" and is "2"/);
  assert.match(await why({ Dockerfile: Dockerfile.replace('E=1', 'E=3') }), /ENV E was "1" and is "3"/);
  assert.match(
    await why({ Dockerfile: Dockerfile.replace('ls /src', 'ls -a /src') }),
    /no step like it ran here before; the last one on the same files was "RUN ls/,
  );
  assert.match(await why({}, ['--no-cache-filter', '0']), /MISS \[2\/4\].*\n\s+the cache is not used for it/);
});

test('the same step asked for by two builds at once runs once', async () => {
  const marker = `${Date.now()}`;
  const Dockerfile = `FROM busybox\nRUN echo ${marker}; cat /proc/sys/kernel/random/uuid > /id; i=0; while [ $i -lt 10 ]; do i=$((i+1)); sleep 0.1; done\n`;
  const outputs = await Promise.all(['x', 'y'].map((tag) => build({ Dockerfile }, ['-t', tag])));
  assert.equal(await ok(['run', '--rm', 'x', 'cat', '/id']), await ok(['run', '--rm', 'y', 'cat', '/id']));
  assert.equal(outputs.filter((output) => output.includes('not cached')).length, 1);
});

test('builder prune removes what no image is made of, by age, type and size, and says how much', async () => {
  await build({
    Dockerfile: `FROM busybox AS a
RUN --mount=type=cache,target=/c dd if=/dev/zero of=/big bs=1M count=2 2>/dev/null; cp /big /c/
FROM busybox
COPY --from=a /big /small
`,
  });
  assert.match(await ok(['builder', 'du']), /exec\.cachemount\s+2\.1MB/);
  assert.match(await ok(['builder', 'prune', '-f', '--filter', 'until=24h']), /Total reclaimed space: 0B/);
  const pruned = await ok(['builder', 'prune', '-f']);
  assert.doesNotMatch(pruned, /reclaimed space: 0B/);
  assert.match(await ok(['builder', 'du']), /exec\.cachemount/);
  await ok(['builder', 'prune', '-af']);
  assert.match(await ok(['builder', 'du']), /Total:\s+0B/);
  const asked = await engine.gantry(['builder', 'prune']);
  assert.match(asked.stderr, /give --force/);
});

test('a failing step shows its last lines and its place; rawjson is one object a line; a terminal shows a table', async () => {
  const context = contextOf({ Dockerfile: 'FROM busybox\nRUN seq 1 30; echo last words; exit 3\n' });
  const { code, stdout, stderr } = await engine.gantry(['build', context]);
  assert.equal(code, 1);
  assert.match(
    stdout,
    /------\n > \[2\/2\] RUN seq 1 30; [^\n]*\n[\d.]+ 12\n(?:.*\n)*.*last words\n------\nDockerfile:2:1: the command ended with exit code 3\n {2}1 \| FROM busybox\n> 2 \| RUN/,
  );
  assert.match(stderr, /returned a non-zero code: 3/);
  const raw = await ok(['build', '--progress=rawjson', contextOf({ Dockerfile: 'FROM busybox\nRUN echo hi\n' })]);
  const lines = raw
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { step?: { is: string } });
  assert.deepEqual(
    lines.flatMap(({ step }) => (step === undefined ? [] : [step.is])),
    ['started', 'done', 'started', 'log', 'done'],
  );
  assert.match(await ok(['build', '-q', contextOf({ Dockerfile: 'FROM busybox\n' })]), /^sha256:[0-9a-f]{64}\n$/);
});

test('another platform is built without running anything of it, and refused where something would run', async () => {
  const foreign = process.arch === 'arm64' ? 's390x' : 'riscv64';
  const Dockerfile = 'FROM scratch\nARG TARGETARCH BUILDARCH\nLABEL for=$TARGETARCH on=$BUILDARCH\nCOPY f /f\n';
  await build({ Dockerfile, f: 'x' }, ['-t', 'foreign', '--platform', `linux/${foreign}`]);
  const shown = await ok(['inspect', '-f', '{{.Architecture}} {{.Config.Labels.for}}', 'foreign']);
  assert.equal(shown, `${foreign} ${foreign}\n`);
  const { stderr } = await engine.gantry([
    ...['build', '--platform', `linux/${foreign}`],
    contextOf({ Dockerfile: 'FROM scratch\nCOPY f /f\nRUN ["/f"]\n', f: 'x' }),
  ]);
  assert.match(stderr, /Dockerfile:3:1: this host cannot run programs for linux\/\w+; set up binfmt_misc/);
});

test('options that cannot be carried out are refused by name', async () => {
  const context = contextOf({ Dockerfile: 'FROM busybox\n' });
  for (const [args, message] of [
    [['--isolation', 'x'], /isolation "x" is not supported/],
    [['-o', 'type=zip'], /output type "zip" is not known/],
    [['--allow', 'everything'], /entitlement "everything" is not known/],
    [['--secret', 'src=x'], /a secret needs id=/],
    [['--secret', 'id=x,src=/nowhere'], /--secret id=x: open \/nowhere/],
    [['--platform', 'windows/amd64'], /only linux images/],
    [['--progress', 'loud'], /progress "loud" is not known/],
  ] as const) {
    const { code, stderr } = await engine.gantry(['build', ...args, context]);
    assert.notEqual(code, 0, args.join(' '));
    assert.match(stderr, message);
  }
  assert.equal(
    existsSync(`${engine.root}/data/builder/builds`) && readdirSync(`${engine.root}/data/builder/builds`).length,
    0,
  );
});
