import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { readTar } from '#tar/index.ts';
import { type BuildContextOptions, packBuildContext } from './build-context.ts';
import { parseContextIgnore } from './context-ignore.ts';

const root = mkdtempSync(`${tmpdir()}/gantry-context-`);
after(() => rmSync(root, { recursive: true, force: true }));
let count = 0;

function context(files: Readonly<Record<string, string>>): string {
  const at = `${root}/${count++}`;
  mkdirSync(at);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(`${at}/${name}`.replace(/\/[^/]*$/, ''), { recursive: true });
    writeFileSync(`${at}/${name}`, content);
  }
  return at;
}

async function packed(directory: string, options: Partial<BuildContextOptions> = {}) {
  const skipped: string[] = [];
  const { tar, dockerfile } = await packBuildContext(directory, {
    onSkipped: (path) => skipped.push(path),
    ...options,
  });
  const entries = new Map<string, { type: string; text: string; mode: number; link: string; uid: number }>();
  for await (const { body, ...header } of readTar(tar))
    entries.set(header.name, {
      type: header.type,
      text: (await buffer(Readable.from(body))).toString(),
      mode: header.mode,
      link: header.linkName,
      uid: header.uid,
    });
  return { entries, dockerfile, skipped };
}

test('parseContextIgnore: the last rule decides, also for what is below', () => {
  const { ignores } = parseContextIgnore(
    '# no\n*.log\n!keep.log\nnode_modules\n**/tmp\n/docs/*.md\n!docs/README.md\na?c\n',
    ['Dockerfile'],
  );
  for (const path of ['x.log', 'node_modules', 'node_modules/a/b', 'tmp', 'a/b/tmp/x', 'docs/a.md', 'abc'])
    assert.equal(ignores(path), true, path);
  for (const path of ['keep.log', 'a/x.log', 'docs/README.md', 'docs/a.txt', 'ac', '# no', 'Dockerfile'])
    assert.equal(ignores(path), false, path);
  assert.equal(parseContextIgnore('*', ['Dockerfile']).ignores('Dockerfile'), false);
  assert.throws(() => parseContextIgnore('a\n!\n'), { kind: 'invalid', message: /line 2/ });
  assert.throws(() => parseContextIgnore('[a\n'), { kind: 'invalid', message: /line 1/ });
});

test('packBuildContext sends what is wanted, owned by root, links as links', async () => {
  const at = context({
    Dockerfile: 'FROM scratch',
    '.dockerignore': 'ign\n!ign/keep/two\nDockerfile\n',
    'a.txt': 'hello',
    'sub/run.sh': '#!',
    'ign/one': '1',
    'ign/keep/two': '2',
    'ign/other/three': '3',
  });
  chmodSync(`${at}/sub/run.sh`, 0o755);
  symlinkSync('../outside', `${at}/link`);
  execFileSync('mkfifo', [`${at}/pipe`]);
  const { entries, skipped, dockerfile } = await packed(at);
  assert.equal(dockerfile, 'Dockerfile');
  assert.deepEqual(
    [...entries.keys()],
    ['.dockerignore', 'Dockerfile', 'a.txt', 'ign/', 'ign/keep/', 'ign/keep/two', 'link', 'sub/', 'sub/run.sh'],
  );
  assert.deepEqual(entries.get('link'), { type: 'symlink', text: '', mode: 0o777, link: '../outside', uid: 0 });
  assert.equal((entries.get('sub/run.sh')?.mode ?? 0) & 0o777, 0o755);
  assert.deepEqual(skipped, ['pipe']);
});

test('packBuildContext sends a Dockerfile from elsewhere under a hidden name', async () => {
  const at = context({ Dockerfile: 'inside', 'a.txt': '', '.dockerignore': '*.log' });
  const outside = `${root}/other.Dockerfile`;
  writeFileSync(outside, 'FROM elsewhere');
  const { entries, dockerfile } = await packed(at, { dockerfile: outside });
  assert.match(dockerfile, /^\.dockerfile\.[0-9a-f]{20}$/);
  assert.equal(entries.get(dockerfile)?.text, 'FROM elsewhere');
  assert.equal(entries.get('.dockerignore')?.text, `*.log\n${dockerfile}\n`);
  assert.equal((await packed(at, { dockerfile: outside })).dockerfile, dockerfile);
  const piped = await packed(at, { dockerfileText: Buffer.from('FROM stdin') });
  assert.equal(piped.entries.get(piped.dockerfile)?.text, 'FROM stdin');
});

test('packBuildContext prefers the Dockerfile\u2019s own ignore file and a lower-case name where there is no other', async () => {
  const at = context({
    dockerfile: 'x',
    'dev/Dockerfile': 'y',
    'dev/Dockerfile.dockerignore': 'a.txt',
    'a.txt': '',
    'b.txt': '',
  });
  assert.equal((await packed(at)).dockerfile, 'dockerfile');
  const { entries, dockerfile } = await packed(at, { dockerfile: `${at}/dev/Dockerfile` });
  assert.equal(dockerfile, 'dev/Dockerfile');
  assert.equal(entries.has('a.txt'), false);
  assert.equal(entries.has('b.txt'), true);
});

test('packBuildContext takes a file that grows as it was, and refuses one that shrinks', async () => {
  const big = 'x'.repeat(1024 * 1024);
  const at = context({ Dockerfile: '', big });
  const pack = async (change: () => void) => {
    const { tar } = await packBuildContext(at, { onSkipped: () => {} });
    let bytes = 0;
    for await (const chunk of tar) {
      bytes += chunk.length;
      if (chunk.length > 100_000) change();
    }
    return bytes;
  };
  const still = await pack(() => {});
  assert.equal(await pack(() => appendFileSync(`${at}/big`, 'more')), still);
  await assert.rejects(
    pack(() => truncateSync(`${at}/big`, 10)),
    { kind: 'conflict', message: /"big" became shorter/ },
  );
});

test('packBuildContext names what is not there', async () => {
  const none = () => {};
  await assert.rejects(packBuildContext(`${root}/nosuch`, { onSkipped: none }), {
    message: /path ".*nosuch" not found/,
  });
  await assert.rejects(packBuildContext(context({}), { onSkipped: none }), { message: /there is no Dockerfile/ });
  await assert.rejects(packBuildContext(context({ Dockerfile: '' }), { dockerfile: '/nosuch', onSkipped: none }), {
    message: /the Dockerfile cannot be read/,
  });
});
