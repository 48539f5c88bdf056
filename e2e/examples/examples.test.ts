// The examples that a test can build from a base with their tools; the lab builds hello and one-container-database.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { debianBase } from '../../scripts/debian-base.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { cacheDirectory } from '../harness/images.ts';
import { project, until } from '../harness/program.ts';

const unused =
  '@babel @types @webassemblyjs caniuse-lite core-js core-js-pure es-abstract eslint lodash lodash-es webpack'.split(
    ' ',
  );
let engine: Engine;
before(async () => {
  const base = await debianBase(cacheDirectory, {
    name: 'tools',
    packages: ['nodejs', 'npm', 'gcc', 'libc6-dev'],
    // Most of the files that Debian's npm depends on are of packages that it never loads.
    without: unused.map((name) => `nodejs/${name}`),
  });
  engine = await startEngine();
  await ok('import', base, 'debian:tools');
});
after(() => engine[Symbol.asyncDispose]());

async function ok(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.gantry(args, { timeoutMs: 300_000 });
  assert.equal(code, 0, `gantry ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout.trim();
}

/** Whom this host trusts: it may stand behind a proxy with an authority of its own. */
const trusted = ['--secret', 'id=ca,src=/etc/ssl/certs/ca-certificates.crt'];

test('node-web: packages by the lock file, tests in the build, and a server that ends when it is told to', async () => {
  const context = `${engine.root}/node-web`;
  cpSync(`${project}/examples/node-web`, context, { recursive: true });
  const build = (...args: readonly string[]) =>
    ok('build', '--progress=plain', '--build-arg', 'BASE=debian:tools', '-t', 'node-web', ...trusted, ...args, context);
  assert.match(await build(), /added 1 package/);
  const tree = await ok('run', '--rm', '--entrypoint', 'ls', 'node-web', '/app', '/app/node_modules');
  assert.match(tree, /^mustache$/m);
  assert.doesNotMatch(tree, /test\.js|package-lock/);
  assert.equal(
    await ok('run', '--rm', '-u', '0', '--entrypoint', 'ls', 'node-web', '-A', '/root'),
    '.bashrc\n.profile',
  );

  await ok('run', '-d', '--name', 'web', '--read-only', '-p', '127.0.0.1::8080', 'node-web');
  const address = `http://${await ok('port', 'web', '8080')}/`;
  const answer = await until(() =>
    fetch(`${address}?name=%3Cb%3E`)
      .then((response) => response.text())
      .catch(() => undefined),
  );
  assert.match(answer, /Hello &lt;b&gt;, you are here for 1 visit\./);
  await ok('stop', 'web');
  assert.equal(await ok('inspect', '-f', '{{.State.ExitCode}}', 'web'), '0');
  assert.match(await ok('logs', 'web'), /closed$/);

  // Another lock file runs npm again, which finds the package in its cache mount and needs no network.
  const lock = JSON.parse(readFileSync(`${context}/package-lock.json`, 'utf8'));
  writeFileSync(`${context}/package-lock.json`, JSON.stringify({ ...lock, version: '1.0.1' }));
  assert.match(await build('--network=none'), /added 1 package/);
  // A test that fails is a build that fails.
  writeFileSync(`${context}/page.html`, '{{{name}}}');
  const { code, stderr, stdout } = await engine.gantry([
    'build',
    '--build-arg',
    'BASE=debian:tools',
    ...trusted,
    context,
  ]);
  assert.equal(code, 1);
  assert.match(stdout + stderr, /a name is text, whatever it holds/);
  rmSync(context, { recursive: true });
});

test('c-from-scratch: the image is one file, and the program runs as nobody with nothing around it', async () => {
  const example = `${project}/examples/c-from-scratch`;
  await ok('build', '-q', '--build-arg', 'BASE=debian:tools', '-t', 'from-scratch', example);
  const layers = JSON.parse(await ok('inspect', '-f', '{{json .RootFS.Layers}}', 'from-scratch'));
  assert.equal(layers.length, 2, 'the program, and its working directory');
  const said = await ok(
    'run',
    '--rm',
    '--cap-drop=ALL',
    '--read-only',
    '--network=none',
    'from-scratch',
    'with',
    'words',
  );
  assert.equal(said, 'Hello from process 1 of user 65534 in /work\nwith words');
  await ok('create', '--name', 'it', 'from-scratch');
  await ok('export', '-o', `${engine.root}/c.tar`, 'it');
  const files = execFileSync('tar', ['-tf', `${engine.root}/c.tar`], { encoding: 'utf8' }).split('\n');
  assert.deepEqual(files.filter((name) => name !== '' && !/^(dev|etc|proc|sys)\b/.test(name)).sort(), [
    'hello',
    'work/',
  ]);
});
