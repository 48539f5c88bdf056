import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { until } from '../harness/program.ts';
import { openWorkbench, type Workbench } from './workbench.ts';

let bench: Workbench;
before(async () => {
  bench = await openWorkbench();
});
after(() => bench[Symbol.asyncDispose]());

const listed = (root: string, path: string) => readdirSync(`${root}${path}`, { recursive: true }).map(String).sort();

test('COPY --exclude leaves out what matches below each source', async () => {
  const { image } = await bench.build({
    Dockerfile: 'FROM busybox\nCOPY --exclude=*.log --exclude=**/tmp --exclude=sub/no* dir a.log b.txt /to/\n',
    'dir/keep': '',
    'dir/x.log': '',
    'dir/sub/y.log': '',
    'dir/sub/not': '',
    'dir/sub/tmp/deep': '',
    'a.log': '',
    'b.txt': '',
  });
  await bench.look(image, (root) => {
    assert.deepEqual(listed(root, '/to'), ['b.txt', 'keep', 'sub', 'sub/y.log']);
  });
});

test('COPY --parents keeps the directories above a source, from /./ on, with ** among the wildcards', async () => {
  const { image } = await bench.build({
    Dockerfile: `FROM busybox
COPY --parents ./x/a.txt ./y/a.txt /all/
COPY --parents x/./deep/*.md /pivot/
COPY --parents src/**/*.c /deep
COPY --parents y /whole/
`,
    'x/a.txt': 'xa',
    'y/a.txt': 'ya',
    'x/deep/b.md': '',
    'src/top.c': '',
    'src/one/two/low.c': '',
    'src/one/no.h': '',
  });
  await bench.look(image, (root) => {
    assert.deepEqual(listed(root, '/all'), ['x', 'x/a.txt', 'y', 'y/a.txt']);
    assert.deepEqual(listed(root, '/pivot'), ['deep', 'deep/b.md']);
    assert.deepEqual(listed(root, '/deep'), ['src', 'src/one', 'src/one/two', 'src/one/two/low.c', 'src/top.c']);
    assert.deepEqual(listed(root, '/whole'), ['y', 'y/a.txt']);
  });
});

test('COPY --link puts directories where links led away, and --chmod takes the modes of chmod(1)', async () => {
  const { image } = await bench.build({
    Dockerfile: `FROM busybox
RUN ln -s /etc /linked
COPY --link f /linked/f
COPY f /plain/f
COPY --chmod=u=rwX,go=rX tree /modes
`,
    f: { type: 'file', body: 'f' },
    'tree/dir/run': { type: 'file', mode: 0o700 },
    'tree/dir/data': { type: 'file', mode: 0o600 },
  });
  await bench.look(image, (root) => {
    assert.ok(lstatSync(`${root}/linked`).isDirectory());
    assert.ok(!readdirSync(`${root}/etc`).includes('f'));
    const mode = (path: string) => statSync(`${root}${path}`).mode & 0o7777;
    assert.deepEqual([mode('/modes/dir'), mode('/modes/dir/run'), mode('/modes/dir/data')], [0o755, 0o755, 0o644]);
  });
});

/** A git server of a repository with a tag, a branch and a submodule-free history. */
async function gitServer() {
  const home = `${bench.root}/git`;
  const work = `${home}/work`;
  mkdirSync(work, { recursive: true });
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: work, encoding: 'utf8' }).trim();
  git('init', '-q', '-b', 'main');
  mkdirSync(`${work}/sub`);
  writeFileSync(`${work}/file`, 'one');
  writeFileSync(`${work}/sub/Dockerfile`, 'FROM busybox\nCOPY inner /\n');
  writeFileSync(`${work}/sub/inner`, 'inner');
  git('add', '.');
  git('commit', '-qm', 'one');
  git('tag', 'v1');
  const commit = git('rev-parse', 'HEAD');
  writeFileSync(`${work}/file`, 'two');
  git('commit', '-qam', 'two');
  execFileSync('git', ['clone', '-q', '--bare', work, `${home}/repo.git`]);
  const port = await freePort();
  const child: ChildProcess = spawn(
    'git',
    ['daemon', '--export-all', `--base-path=${home}`, `--port=${port}`, '--listen=127.0.0.1', '--reuseaddr', home],
    {
      stdio: 'ignore',
      env: { ...process.env, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
    },
  );
  const url = `git://127.0.0.1:${port}/repo.git`;
  await until(() => {
    try {
      execFileSync('git', ['ls-remote', url], { stdio: 'ignore' });
      return true as const;
    } catch {
      return undefined;
    }
  });
  return { url, commit, [Symbol.asyncDispose]: () => ended(child) };
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

test('ADD of a git repository, and a git repository as context: ref, subdirectory, checksum', async () => {
  await using server = await gitServer();
  const { url, commit } = server;
  const add = (text: string) => bench.build({ Dockerfile: `FROM busybox\n${text}\n` });
  const { image } = await add(
    `ADD ${url}#v1 /v1/\nADD ${url} /main/\nADD --keep-git-dir=true ${url}#main /git\nADD ${url}#v1:sub /sub/\nADD --checksum=${commit} ${url}#v1 /sum/`,
  );
  await bench.look(image, (root) => {
    assert.equal(readFileSync(`${root}/v1/file`, 'utf8'), 'one');
    assert.equal(readFileSync(`${root}/main/file`, 'utf8'), 'two');
    assert.deepEqual(readdirSync(`${root}/v1`).sort(), ['file', 'sub']);
    assert.ok(readdirSync(`${root}/git`).includes('.git'));
    assert.deepEqual(readdirSync(`${root}/sub`).sort(), ['Dockerfile', 'inner']);
  });
  await assert.rejects(add(`ADD --checksum=${'0'.repeat(40)} ${url}#v1 /x/`), {
    message: /is at commit \w{40}, not 0/,
  });
  await assert.rejects(add(`ADD ${url}#nothing /x/`), { kind: 'not-found', message: /no branch, tag or commit/ });
  await assert.rejects(add(`ADD ${url}#v1:../.. /x/`), { kind: 'not-found' });
  const remote = await bench.build({}, { context: { url: `${url}#v1:sub` } });
  await bench.look(remote.image, (root) => assert.equal(readFileSync(`${root}/inner`, 'utf8'), 'inner'));
  await assert.rejects(bench.build({}, { context: { url: 'git://127.0.0.1:1/none.git' } }), { kind: 'unavailable' });
  assert.deepEqual(await bench.leftovers(), []);
});
