import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { gantryProgram, run, until } from '../harness/program.ts';

describe('the command line', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await engine.gantry(args);
    assert.equal(code, 0, `gantry ${args.join(' ')}: ${stderr}`);
    return stdout;
  };

  test('is found through symbolic links from anywhere', async () => {
    symlinkSync(gantryProgram, `${engine.root}/one`);
    symlinkSync('one', `${engine.root}/two`);
    const { stdout } = await run(`${engine.root}/two`, ['--version'], { cwd: '/' });
    assert.match(stdout, /^Gantry version \d/);
  });

  test('ends without a word where nobody reads its output', async () => {
    await ok('run', '--name', 'talks', 'busybox', 'sh', '-c', 'seq 100000');
    const { code, stdout, stderr } = await run(
      'bash',
      ['-c', `set -o pipefail; ${gantryProgram} logs talks | head -n 1`],
      {
        env: engine.env,
      },
    );
    assert.deepEqual({ code, stdout, stderr }, { code: 141, stdout: '1\n', stderr: '' });
  });

  test('passes signals on to the command it runs, and its exit code back', async () => {
    const script = 'trap "echo got; exit 9" TERM; echo ready; while :; do sleep 0.1; done';
    const child = spawn(gantryProgram, ['run', '--rm', 'busybox', 'sh', '-c', script], {
      env: { ...process.env, ...engine.env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (output === 'ready\n') child.kill('SIGTERM');
    });
    const code = await new Promise((done) => child.once('close', done));
    assert.deepEqual([code, output], [9, 'ready\ngot\n']);
  });

  test('-i passes the end of input on while output still comes', async () => {
    const { stdout } = await engine.gantry(['run', '-i', '--rm', 'busybox', 'sh', '-c', 'cat; sleep 0.3; echo after'], {
      input: 'typed\n',
    });
    assert.equal(stdout, 'typed\nafter\n');
  });

  test('-a joins only the streams that are asked for', async () => {
    const { stdout, stderr } = await engine.gantry([
      'run',
      '--rm',
      '-a',
      'stderr',
      'busybox',
      'sh',
      '-c',
      'echo a; echo b >&2',
    ]);
    assert.deepEqual([stdout, stderr], ['', 'b\n']);
  });

  test('--cidfile is written once, and not over another', async () => {
    const file = `${engine.root}/cid`;
    const id = await ok('create', '--cidfile', file, 'busybox', 'true');
    assert.equal(readFileSync(file, 'utf8'), id.trim());
    const { code, stderr } = await engine.gantry(['create', '--cidfile', file, 'busybox', 'true']);
    assert.equal(code, 1);
    assert.match(stderr, /container ID file found/);
    const failed = `${engine.root}/failed`;
    await engine.gantry(['create', '--cidfile', failed, '--pull', 'never', 'nosuch']);
    assert.equal(existsSync(failed), false);
  });

  test('-e and --env-file take bare names from here', async () => {
    writeFileSync(`${engine.root}/env`, '# comment\nFROM_FILE=1\nHERE\nGONE\n');
    const { stdout } = await engine.gantry(
      [
        'run',
        '--rm',
        '--env-file',
        `${engine.root}/env`,
        '-e',
        'THERE',
        'busybox',
        'sh',
        '-c',
        'echo $FROM_FILE $HERE $THERE ${GONE-unset}',
      ],
      { env: { HERE: '2', THERE: '3' } },
    );
    assert.equal(stdout, '1 2 3 unset\n');
  });

  test('--mount tmpfs has the size and mode it was given', async () => {
    const shown = await ok(
      'run',
      '--rm',
      '--mount',
      'type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700',
      'busybox',
      'sh',
      '-c',
      'grep " /t " /proc/mounts',
    );
    assert.match(shown, /size=1024k/);
    assert.match(shown, /mode=700/);
  });

  test('build sends what its .dockerignore leaves, and a Dockerfile from elsewhere', async () => {
    const context = `${engine.root}/context`;
    mkdirSync(`${context}/ign`, { recursive: true });
    for (const name of ['kept', 'x.log', 'ign/one', 'ign/two']) writeFileSync(`${context}/${name}`, name);
    writeFileSync(`${context}/.dockerignore`, '*.log\nign\n!ign/two\n');
    writeFileSync(`${engine.root}/other.Dockerfile`, 'FROM busybox\nCOPY . /c\nRUN cd /c && find . | sort && exit 3\n');
    const failed = await engine.gantry(['build', '-f', `${engine.root}/other.Dockerfile`, context]);
    assert.equal(failed.code, 1, failed.stderr);
    const said = failed.stdout.replaceAll(/^#\d+ [\d.]+ /gm, '');
    assert.match(said, /^\.\n\.\/\.dockerignore\n\.\/ign\n\.\/ign\/two\n\.\/kept$/m);
    assert.match(failed.stderr, /returned a non-zero code: 3/);
    const { stdout } = await engine.gantry(['build', '-q', '--iidfile', `${engine.root}/iid`, '-'], {
      input: 'FROM busybox\nLABEL a=b\n',
    });
    assert.match(stdout, /^sha256:[0-9a-f]{64}\n$/);
    assert.equal(readFileSync(`${engine.root}/iid`, 'utf8'), stdout.trim());
  });

  test('stats reads once, events are told as they come', async () => {
    const events = spawn(gantryProgram, ['events', '--filter', 'container=seen'], {
      env: { ...process.env, ...engine.env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let told = '';
    events.stdout.on('data', (data: Buffer) => {
      told += data.toString();
    });
    await until(async () => {
      await ok('rm', '-f', 'seen');
      await ok('run', '-d', '--name', 'seen', 'busybox', 'sleep', '1000');
      return /container start [0-9a-f]{64} \(.*name=seen/.test(told) ? true : undefined;
    });
    events.kill();
    assert.match(
      told,
      /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{9}\S+ container create [0-9a-f]{64} \(image=busybox, name=seen\)$/m,
    );
    const shown = await ok('stats', '--no-stream', 'seen');
    assert.match(shown, /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT/);
    assert.match(shown, /^[0-9a-f]{12} +seen +\d+\.\d\d% +\S+ \/ \S+iB .* 1$/m);
  });

  test('says how to reach an engine where there is none', async () => {
    const { code, stderr } = await run(gantryProgram, ['-H', `unix://${engine.root}/nosuch.sock`, 'ps']);
    assert.equal(code, 1);
    assert.match(stderr, /Cannot connect to the Gantry daemon at unix:\/\/.*nosuch\.sock\. Is the daemon running\?/);
  });
});
