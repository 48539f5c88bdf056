import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Context, contextTar, openWorkbench, type Workbench } from './workbench.ts';

let bench: Workbench;
before(async () => {
  bench = await openWorkbench();
});
after(() => bench[Symbol.asyncDispose]());

const link = (linkName: string): Context[string] => ({ type: 'symlink', linkName });
const tarBytes = async (context: Context) => Buffer.concat(await Array.fromAsync(contextTar(context)));
const refused = (context: Context, message: RegExp, kind = 'invalid') =>
  assert.rejects(bench.build(context), { kind, message });

test('COPY: files, directories, wildcards and names in the places Docker gives them', async () => {
  const { image } = await bench.build({
    Dockerfile: `FROM busybox
WORKDIR /w
COPY a.txt renamed
COPY a.txt b.txt into/
COPY dir .
COPY dir named
COPY *.txt [!x]?.md /wild/
COPY ["with space", "/space/"]
COPY top /followed
`,
    'a.txt': { type: 'file', body: 'a', mode: 0o4755, uid: 5, gid: 6, mtime: { seconds: 86_400, nanoseconds: 0 } },
    'b.txt': 'b',
    'x1.md': '',
    'y1.md': '',
    'with space': 's',
    top: link('/dir/sub/c'),
    dir: { type: 'directory', mode: 0o750 },
    'dir/sub/c': 'c',
    'dir/link': link('../../../etc/passwd'),
  });
  await bench.look(image, (root) => {
    const a = statSync(`${root}/w/renamed`);
    assert.deepEqual([a.mode & 0o7777, a.uid, a.gid, a.mtimeMs], [0o4755, 0, 0, 86_400_000]);
    assert.deepEqual(readdirSync(`${root}/w/into`), ['a.txt', 'b.txt']);
    assert.equal(readFileSync(`${root}/w/sub/c`, 'utf8'), 'c');
    assert.equal(statSync(`${root}/w/named`).mode & 0o7777, 0o750);
    assert.equal(readlinkSync(`${root}/w/named/link`), '../../../etc/passwd');
    assert.deepEqual(readdirSync(`${root}/wild`), ['a.txt', 'b.txt', 'y1.md']);
    assert.deepEqual(readdirSync(`${root}/space`), ['with space']);
    assert.equal(readFileSync(`${root}/followed`, 'utf8'), 'c');
  });
});

test('COPY --chown takes names from the image, --chmod an octal mode; --from keeps owners', async () => {
  const { image } = await bench.build({
    Dockerfile: `FROM busybox AS a
COPY --chown=ana:staff --chmod=640 f /new/f
COPY --chown=7 f /seven
FROM busybox
COPY --from=a /new /kept
COPY --from=0 /seven /seven
COPY --from=0 --chown=0:3 /seven /three
COPY --chown=ana f /ana
`,
    f: 'f',
  });
  await bench.look(image, (root) => {
    const facts = (path: string) => {
      const { uid, gid, mode } = statSync(root + path);
      return [uid, gid, mode & 0o7777];
    };
    assert.deepEqual(facts('/kept'), [1000, 50, 0o755]);
    assert.deepEqual(facts('/kept/f'), [1000, 50, 0o640]);
    assert.deepEqual(facts('/seven'), [7, 7, 0o644]);
    assert.deepEqual(facts('/three'), [0, 3, 0o644]);
    assert.deepEqual(facts('/ana'), [1000, 1000, 0o644]);
  });
  const nobody = 'FROM busybox\nCOPY --chown=nobody-here f /';
  await refused({ Dockerfile: nobody, f: '' }, /Dockerfile:2:14: .*"nobody-here".*\/etc\/passwd/);
  await refused({ Dockerfile: 'FROM busybox\nCOPY --chmod=u+y f /', f: '' }, /2:14: .*neither an octal mode/);
});

test('.dockerignore decides what COPY sees, with exceptions, and by the name of the Dockerfile', async () => {
  const files = { 'keep/a': '', 'keep/b.log': '', 'drop/a': '', 'drop/but': '', secret: '' };
  const list = async (ignore: Context, dockerfile = 'Dockerfile') => {
    const { image } = await bench.build(
      { ...files, [dockerfile]: 'FROM busybox\nCOPY . /c', ...ignore },
      { dockerfile },
    );
    return bench.look(image, (root) => readdirSync(`${root}/c`, { recursive: true }).map(String).sort());
  };
  assert.deepEqual(await list({ '.dockerignore': 'Dockerfile\n.dockerignore\n**/*.log\ndrop\n!drop/but\nsecret' }), [
    'drop',
    'drop/but',
    'keep',
    'keep/a',
  ]);
  assert.deepEqual(
    await list({ '.dockerignore': 'keep', 'other.Dockerfile.dockerignore': '*\n!secret' }, 'other.Dockerfile'),
    ['secret'],
  );
  await refused(
    { ...files, Dockerfile: 'FROM busybox\nCOPY secret /', '.dockerignore': 'secret' },
    /COPY failed: file not found in build context or excluded by \.dockerignore: stat secret: file does not exist/,
  );
});

test('COPY of nothing says what it looked for', async () => {
  const copy = (text: string) => ({ Dockerfile: `FROM busybox\nCOPY ${text}`, a: '', b: '' });
  await refused(copy('*.nope /'), /COPY failed: no source files were specified: "\*\.nope" matches nothing/);
  await refused(copy('nope /'), /COPY failed: file not found in build context: stat nope/);
  await refused(copy('../up /'), /forbidden path outside the build context: \.\.\/up/);
  await refused(copy('a b /x'), /Dockerfile:2:10: .*must be a directory and end with a \//);
  await refused(copy('[ab] /x'), /must be a directory and end with a \//);
  await refused(copy('--from=busybox /nope /'), /file not found in image busybox: stat \/nope/);
  await refused(copy('a /bin/sh/x'), /\/bin\/sh is not a directory/);
});

test('COPY through links of the image stays inside it', async () => {
  writeFileSync(`${bench.root}/outside`, 'untouched');
  const { image } = await bench.build({
    Dockerfile: `FROM busybox
RUN ln -s ${bench.root} /abs && ln -s ../../../..${bench.root} /rel && ln -s /real/deep /dangling && ln -s /etc /e
COPY f /abs/outside
COPY f /rel/second
COPY f /dangling/f
COPY tree /
`,
    f: 'inside',
    'tree/e/new': 'merged',
  });
  assert.equal(readFileSync(`${bench.root}/outside`, 'utf8'), 'untouched');
  await bench.look(image, (root) => {
    for (const name of ['outside', 'second'])
      assert.equal(readFileSync(`${root}${bench.root}/${name}`, 'utf8'), 'inside');
    assert.equal(readFileSync(`${root}/real/deep/f`, 'utf8'), 'inside');
    assert.equal(lstatSync(`${root}/e`).isSymbolicLink(), true);
    assert.equal(readFileSync(`${root}/etc/new`, 'utf8'), 'merged');
  });
});

test('a hostile context is contained', async () => {
  writeFileSync(`${bench.root}/victim`, 'untouched');
  const { image } = await bench.build({
    Dockerfile: 'FROM busybox\nCOPY . /c\n',
    abs: link(bench.root),
    'abs/victim': 'overwritten',
  });
  assert.equal(readFileSync(`${bench.root}/victim`, 'utf8'), 'untouched');
  await bench.look(image, (root) => assert.equal(readlinkSync(`${root}/c/abs`), bench.root));
  await refused({ Dockerfile: 'FROM busybox', '../up': 'x' }, /\.\.\/up/);
  const passwd = link('/etc/passwd');
  await refused({ Dockerfile: 'FROM busybox\nCOPY p /p', p: passwd }, /file not found in build context/);
  await refused({ Dockerfile: passwd }, /Cannot locate specified Dockerfile: Dockerfile/);
  await refused({ Dockerfile: { type: 'fifo' } }, /Cannot locate specified Dockerfile/);
  await assert.rejects(bench.build({ Dockerfile: 'FROM busybox' }, { dockerfile: '../Dockerfile' }), {
    kind: 'invalid',
    message: /must be within the build context/,
  });
  assert.deepEqual(await bench.leftovers(), []);
});

test('ADD unpacks what is a tar, whatever it is called, and takes the rest as it is', async () => {
  const tar = await tarBytes({
    'in/file': { type: 'file', body: 'packed', uid: 12, gid: 13, mode: 0o600 },
    'in/again': { type: 'hardlink', linkName: 'in/file' },
    bin: link('/somewhere'),
  });
  const { image } = await bench.build({
    Dockerfile: `FROM busybox
ADD plain.dat /plain/
ADD zipped zst /z/
ADD text text.gz /t/
ADD --chown=1:1 plain.dat /owned
COPY zipped /copied
`,
    'plain.dat': tar,
    zipped: gzipSync(tar),
    zst: zstdCompressSync(await tarBytes({ more: 'zstd' })),
    text: 'no tar',
    'text.gz': gzipSync('no tar'),
  });
  await bench.look(image, (root) => {
    const { uid, gid, mode, ino } = statSync(`${root}/plain/in/file`);
    assert.deepEqual([uid, gid, mode & 0o7777], [12, 13, 0o600]);
    assert.equal(statSync(`${root}/plain/in/again`).ino, ino);
    assert.deepEqual(readdirSync(`${root}/z`), ['bin', 'in', 'more']);
    assert.deepEqual(readdirSync(`${root}/t`), ['text', 'text.gz']);
    assert.equal(statSync(`${root}/owned/in/file`).uid, 1);
    assert.deepEqual(readFileSync(`${root}/copied`), gzipSync(tar));
  });
  await refused({ Dockerfile: 'FROM busybox\nADD evil /x/', evil: await tarBytes({ '../escape': 'x' }) }, /escape/);
  const packed = (program: string) => execFileSync(program, ['-c'], { input: tar });
  const other = await bench.build({
    Dockerfile: 'FROM busybox\nADD xz bz /x/\nADD broken /b/\nADD --unpack=false xz /whole',
    xz: packed('xz'),
    bz: packed('bzip2'),
    broken: Buffer.from('fd377a585a0000', 'hex'),
  });
  await bench.look(other.image, (root) => {
    assert.equal(readFileSync(`${root}/x/in/file`, 'utf8'), 'packed');
    assert.deepEqual(readdirSync(`${root}/b`), ['broken']);
    assert.deepEqual(readFileSync(`${root}/whole`), packed('xz'));
  });
});

test('ADD of a URL: named by it, checked where a checksum is given', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/f.txt') response.setHeader('last-modified', 'Fri, 02 Jan 1970 00:00:00 GMT').end('fetched');
    else response.writeHead(404).end();
  });
  const url = await new Promise<string>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`);
    });
  });
  const add = (text: string) => ({ Dockerfile: `FROM busybox\n${text}\n` });
  try {
    const { image } = await bench.build(add(`ADD ${url}/f.txt /d/\nADD --chmod=644 ${url}/f.txt /named`));
    await bench.look(image, (root) => {
      const { mode, mtimeMs } = statSync(`${root}/d/f.txt`);
      assert.deepEqual([mode & 0o7777, mtimeMs], [0o600, 86_400_000]);
      assert.equal(statSync(`${root}/named`).mode & 0o7777, 0o644);
      assert.equal(readFileSync(`${root}/named`, 'utf8'), 'fetched');
    });
    await refused(add(`ADD ${url}/missing /d/`), /Dockerfile:2:5: ADD failed: .* answers 404/);
    const checksum = `sha256:${'0'.repeat(64)}`;
    await refused(
      add(`ADD --checksum=${checksum} ${url}/f.txt /d/`),
      /has digest sha256:\w{64}, not sha256:0/,
      'corrupt',
    );
  } finally {
    server.close();
  }
  assert.deepEqual(await bench.leftovers(), []);
});
