import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileSystemOf, O_PATH } from '#linux/index.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { project, run, until } from '../harness/program.ts';
import { hostileImage, probeMount } from './hostile.ts';

const digest = (name: string) =>
  createHash('sha256')
    .update(readFileSync(`${project}/build/${name}`))
    .digest('hex');
const programs = ['gantry-shim', 'gantry-init', 'gantry-launcher'];

describe('our programs, their descriptors and working directories, seen from a container', () => {
  let engine: Engine;
  const digests = programs.map(digest);
  before(async () => {
    engine = await startEngine();
    const args = ['run', '-d', '--name', 'box', '--init', ...probeMount(), 'busybox', 'sleep', '1000'];
    assert.equal((await engine.gantry(args)).code, 0);
  });
  after(() => engine[Symbol.asyncDispose]());
  const gantry = (...args: string[]) => engine.gantry(args);
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await gantry(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };

  test('CVE-2019-5736: a launcher that a container makes run itself cannot be written through /proc/pid/exe, then or later', async () => {
    const chase = engine.gantry(['exec', 'box', '/probe', 'chase', '/']);
    let caught: string | undefined;
    void chase.then(({ stdout }) => {
      caught = stdout;
    });
    // A program that runs from a mount that is attached nowhere has the path of its root. The exec’s own launcher is told to run /proc/self/exe: that is the shim, in the container.
    await until(async () => {
      const { code } = await gantry('exec', 'box', '/proc/self/exe');
      assert.equal(code, 2, 'the shim ran in the container, and said how it is used');
      return caught;
    }, 60_000);
    // Busy, as long as a shim runs from that file; read-only for ever.
    assert.match((await chase).stdout, /^chasing\nread-only (?:Text file busy|Read-only file system)\n$/);
    assert.deepEqual(programs.map(digest), digests);
  });

  test('CVE-2019-5736: what a shim runs from is a read-only mount that is attached nowhere', async () => {
    const pid = (await ok('inspect', '-f', '{{.State.Pid}}', 'box')).trim();
    const shim = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[3] ?? '';
    assert.match(readFileSync(`/proc/${shim}/comm`, 'utf8'), /^gantry-shim/);
    assert.equal(readlinkSync(`/proc/${shim}/exe`), '/', 'the mount has no place where it could be made writable');
    const program = openSync(`/proc/${shim}/exe`, O_PATH);
    assert.equal(fileSystemOf(program).readOnly, true);
    closeSync(program);
    const file = openSync(`${project}/build/gantry-shim`, O_PATH);
    assert.equal(fileSystemOf(file).readOnly, false, 'the measure is the mount: the file itself is on a writable one');
    closeSync(file);
  });

  test('CVE-2019-5736: the init of a container cannot be written, renamed or replaced by its root', async () => {
    const script =
      'for f in /proc/1/exe /dev/init; do (echo x > $f) 2>&1; (echo x >> $f) 2>&1; done; rm /dev/init 2>&1; mv /dev/init /dev/x 2>&1; readlink /proc/1/exe';
    const lines = (await gantry('exec', 'box', 'sh', '-c', script)).stdout.trim().split('\n');
    for (const line of lines.slice(0, 4)) assert.match(line, /Read-only file system|Text file busy/);
    for (const line of lines.slice(4, 6)) assert.match(line, /busy/);
    assert.equal(lines[6], '/dev/init');
    assert.deepEqual(programs.map(digest), digests);
  });

  test('CVE-2016-9962, CVE-2024-21626: 0, 1 and 2 are all that is open in a first process and in an exec, with and without a terminal or an init', async () => {
    const open = ['/probe', 'fds'];
    for (const args of [
      ['run', '--rm', ...probeMount(), 'busybox', ...open],
      ['run', '--rm', '-t', ...probeMount(), 'busybox', ...open],
      ['run', '--rm', '-i', '--init', ...probeMount(), 'busybox', ...open],
      ['exec', 'box', ...open],
      ['exec', '-t', 'box', ...open],
    ]) {
      const lines = (await ok(...args)).trim().split(/\r?\n/);
      assert.deepEqual(
        lines.map((line) => line.split(' ')[0]),
        ['0', '1', '2', 'cwd'],
        `${args.join(' ')}:\n${lines.join('\n')}`,
      );
      assert.equal(lines.at(-1), 'cwd /');
      for (const line of lines.slice(0, 3)) assert.match(line, /^\d (?:pipe:|socket:|\/dev\/null|\/dev\/pts\/)/);
    }
    // Of the init: its stdio, and nothing of the host.
    const init = await ok(
      'exec',
      'box',
      'sh',
      '-c',
      'for f in /proc/1/fd/*; do readlink $f; done; readlink /proc/1/cwd',
    );
    for (const line of init.trim().split('\n')) assert.match(line, /^(?:pipe:|\/dev\/null$|\/$)/, init);
  });

  test('CVE-2024-21626: no descriptor of the launcher can be the working directory, by name or by a link in the image', async () => {
    const links = Array.from({ length: 8 }, (_, fd) => ({
      name: `cwd${fd + 3}`,
      type: 'symlink' as const,
      linkName: `/proc/self/fd/${fd + 3}/`,
    }));
    await hostileImage(engine, 'leaky', links);
    assert.equal((await gantry('run', '-d', '--name', 'leaky', 'leaky', 'sleep', '1000')).code, 0);
    const nowhere = async (...args: string[]) => {
      const { stdout, code } = await gantry(...args, 'leaky', 'ls', '-d', '.', `.${project}`);
      assert.ok(code !== 0 && !stdout.includes(project), `${args.join(' ')}: ${stdout}`);
    };
    for (const { name, linkName } of links) {
      await nowhere('exec', '-w', linkName);
      await nowhere('exec', '-w', `/${name}/../../..`);
    }
    for (const { name, linkName } of links.slice(2, 6)) {
      await nowhere('run', '--rm', '-w', linkName);
      await nowhere('run', '--rm', '-w', `/${name}/..`);
    }
  });

  test('CVE-2026-55686: a WORKDIR that leads through links is made inside the container, never on the host', async () => {
    const outside = `${engine.root}/outside`;
    mkdirSync(outside);
    await hostileImage(engine, 'linked', [
      { name: 'up', type: 'symlink', linkName: `../../../..${outside}` },
      { name: 'absolute', type: 'symlink', linkName: outside },
    ]);
    for (const link of ['up', 'absolute']) {
      const made = await ok(
        'run',
        '--rm',
        '-u',
        '1000',
        '-w',
        `/${link}/made/${link}`,
        'linked',
        'sh',
        '-c',
        'pwd; stat -c %u .',
      );
      assert.equal(made, `${outside}/made/${link}\n1000\n`);
    }
    assert.deepEqual(readdirSync(outside), []);
    assert.ok(!existsSync(`${outside}/made`));
  });

  test('what lies in the folder a command is called from is neither run nor read as settings', async () => {
    const folder = `${engine.root}/folder`;
    mkdirSync(folder);
    const code = `require('node:fs').writeFileSync('${folder}/ran', '')`;
    writeFileSync(`${folder}/preload.js`, code);
    writeFileSync(`${folder}/bunfig.toml`, 'preload = ["./preload.js"]\n');
    writeFileSync(`${folder}/.env`, 'GANTRY_FROM_FOLDER=yes\n');
    writeFileSync(`${folder}/tsconfig.json`, '{"compilerOptions":{"paths":{"*":["./preload.js"]}}}');
    writeFileSync(`${folder}/package.json`, '{"imports":{"#*":"./preload.js"},"type":"commonjs"}');
    const told = ['exec', '-e', 'GANTRY_FROM_FOLDER', 'box', 'sh', '-c', 'echo "$GANTRY_FROM_FOLDER"'];
    assert.deepEqual(await engine.gantry(told, { cwd: folder }), { code: 0, stdout: '\n', stderr: '' });
    const list = await run(`${project}/bin/gantry-runtime`, ['--root', `${folder}/state`, 'list'], { cwd: folder });
    assert.equal(list.code, 0, list.stderr);
    assert.ok(!existsSync(`${folder}/ran`));
  });
});
