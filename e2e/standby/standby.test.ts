// A command that is handed to a spare (native/standby.h) is the same command: what it prints, its code, its place, its end.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { gantryProgram, type Outcome, project, type RunOptions, run, stopProcess, until } from '../harness/program.ts';

const handed = { GANTRY_STANDBY: 'always' };
const cold = { GANTRY_STANDBY: 'never' };

const stateOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /s, '')[0] ?? '';
  } catch {
    return ''; // it is gone
  }
};
const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

/** The process that runs a starter's command: it holds its pidfd. */
function spareOf(starter: number): number | undefined {
  try {
    for (const fd of readdirSync(`/proc/${starter}/fdinfo`)) {
      const pid = /^Pid:\s+(\d+)/m.exec(readFileSync(`/proc/${starter}/fdinfo/${fd}`, 'utf8'))?.[1];
      if (pid !== undefined) return Number(pid);
    }
  } catch {
    // A descriptor that is closed meanwhile, or the starter is gone: asked again.
  }
  return undefined;
}

describe('a command handed to a spare', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
    const { code, stderr } = await engine.gantry(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
    assert.equal(code, 0, stderr);
  });
  after(() => engine[Symbol.asyncDispose]());

  /** Runs a command by a spare; tried again where the spares are being made. */
  const byspare = (args: readonly string[], options: RunOptions = {}): Promise<Outcome> =>
    until(async () => {
      const outcome = await engine.gantry(args, { ...options, env: { ...handed, ...options.env } });
      return /no spare took the command: no/.test(outcome.stderr) ? undefined : outcome;
    });
  const standby = () => {
    const found = childrenOf(engine.pid()).find((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('gantry-standby'),
    );
    assert.ok(found !== undefined, 'the engine has a standby');
    return found;
  };
  /** Starts a command by a spare that goes on, and waits until it runs there. */
  async function begin(args: readonly string[], stdin: 'pipe' | 'ignore' = 'ignore') {
    return until(async () => {
      const child = spawn(gantryProgram, args, {
        env: { ...process.env, ...engine.env, ...handed },
        stdio: [stdin, 'pipe', 'pipe'],
      });
      const said = { text: '' };
      for (const stream of [child.stdout, child.stderr].filter((one) => one !== null))
        stream.on('data', (data: Buffer) => {
          said.text += data.toString('utf8');
        });
      const pid = child.pid ?? 0;
      const spare = await until(() => (child.exitCode === null ? spareOf(pid) : 0));
      return spare === 0 ? undefined : { child, pid, spare, said };
    });
  }
  const ended = (child: ChildProcess) =>
    new Promise<string | number | null>((done) => child.once('exit', (code, signal) => done(signal ?? code)));
  const shell = (script: string, env: Readonly<Record<string, string>> = handed) =>
    run('sh', ['-c', script], { env: { ...engine.env, ...env, gantry: gantryProgram } });

  test('prints the same and ends with the same code', async () => {
    const commands: readonly (readonly string[])[] = [
      ['-v'],
      ['run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 7'],
      ['run', '--rm', '-i', 'busybox', 'sh', '-c', 'cat; exit 3'],
      ['run', '--rm', 'busybox', 'nothing-of-this-name'],
      ['run', '--no-such-flag'],
      ['exec', 'box', 'sh', '-c', 'echo in box; kill -9 $$'],
      ['exec', '-i', 'box', 'wc', '-c'],
      ['ps', '--format', '{{.Names}}'],
      ['inspect', 'nothing-of-this-name'],
      ['images', '--help'],
      ['no-such-command'],
    ];
    for (const args of commands) {
      const input = 'x'.repeat(300_000);
      assert.deepEqual(await byspare(args, { input }), await engine.gantry(args, { input, env: cold }), args.join(' '));
    }
  });

  test('has the environment, working directory, umask and long arguments of its caller', async () => {
    const folder = `${engine.root}/here`;
    mkdirSync(folder);
    writeFileSync(`${folder}/variables`, 'FROM_FILE=file\n');
    const long = 'y'.repeat(100_000);
    const args = [
      'run',
      '--rm',
      '-e',
      'FROM_CALLER',
      '--env-file',
      'variables',
      '-e',
      `LONG=${long}`,
      'busybox',
      'env',
    ];
    const { stdout, stderr } = await byspare(args, { cwd: folder, env: { FROM_CALLER: 'caller', EMPTY: '' } });
    for (const line of ['FROM_FILE=file', 'FROM_CALLER=caller', `LONG=${long}`])
      assert.ok(stdout.split('\n').includes(line), stderr);
    await until(async () => {
      const { code } = await shell(`cd ${folder} && umask 077 && exec $gantry create --cidfile id busybox true`);
      return code === 0 ? true : undefined;
    });
    assert.equal(statSync(`${folder}/id`).mode & 0o777, 0o600);
  });

  test('reads and writes its caller’s files where they stand', async () => {
    writeFileSync(`${engine.root}/lines`, 'first\nsecond\n');
    // head takes the first line of the open file, the command the rest; the output goes on behind what is there.
    const script = `{ read first; echo "shell $first"; $gantry exec -i box cat; echo end; } <lines >>out 2>&1`;
    const all = () => {
      writeFileSync(`${engine.root}/out`, 'before\n');
      return shell(`cd ${engine.root} && ${script}`);
    };
    const text = await until(async () => {
      await all();
      const written = readFileSync(`${engine.root}/out`, 'utf8');
      return written.includes('none is ready') ? undefined : written;
    });
    assert.equal(text, 'before\nshell first\nsecond\nend\n');
  });

  test('is told signals, and ends its caller by the one that ended it', async () => {
    const trap = 'trap "echo told; exit 5" TERM; echo ready; while :; do sleep 0.1; done';
    const run5 = await begin(['run', '--rm', 'busybox', 'sh', '-c', trap]);
    await until(() => (run5.said.text.includes('ready') ? true : undefined));
    const code = ended(run5.child);
    run5.child.kill('SIGTERM');
    assert.equal(await code, 5);
    assert.match(run5.said.text, /told/);
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGKILL'] as const) {
      const events = await begin(['events']);
      const how = ended(events.child);
      if (signal === 'SIGKILL') process.kill(events.spare, signal);
      else events.child.kill(signal);
      assert.equal(await how, signal);
      await until(() => (/^[Z]?$/.test(stateOf(events.spare)) ? true : undefined));
    }
  });

  test('stops with its caller and goes on with it', async () => {
    const { child, pid, spare, said } = await begin(['events', '--filter', 'type=container']);
    // It listens when it has told something.
    await until(async () => {
      await engine.gantry(['exec', 'box', 'true']);
      return said.text.includes('exec_create') ? true : undefined;
    });
    child.kill('SIGTSTP');
    await until(() => (stateOf(pid) === 'T' && stateOf(spare) === 'T' ? true : undefined));
    assert.equal((await engine.gantry(['rename', 'box', 'box2'])).code, 0);
    child.kill('SIGCONT');
    await until(() => (said.text.includes('rename') ? true : undefined));
    assert.equal((await engine.gantry(['rename', 'box2', 'box'])).code, 0);
    await stopProcess(child);
  });

  test('ends when its caller is killed, as if it had been killed itself', async () => {
    const { child, spare } = await begin(['run', '--name', 'reader', '-i', 'busybox', 'cat'], 'pipe');
    const running = async () => (await engine.gantry(['ps', '-q', '--filter', 'name=reader'], { env: cold })).stdout;
    await until(async () => ((await running()) === '' ? undefined : true));
    await stopProcess(child, 'SIGKILL');
    await until(() => (stateOf(spare) === '' ? true : undefined));
    // Nobody holds its input any more.
    await until(async () => ((await running()) === '' ? true : undefined));
  });

  test('ends quietly where nobody reads its output', async () => {
    const { stdout } = await shell(`$gantry exec box yes 2>&1 | head -n1; echo "\${PIPESTATUS:-}"`, {});
    assert.match(stdout, /^y\n/);
    const codes = await until(async () => {
      const { stdout: line } = await run(
        'bash',
        ['-c', `$gantry exec box yes 2>${engine.root}/said | head -n1 >/dev/null; echo "\${PIPESTATUS[0]}"`],
        { env: { ...engine.env, ...handed, gantry: gantryProgram } },
      );
      return readFileSync(`${engine.root}/said`, 'utf8').includes('none is ready') ? undefined : line;
    });
    assert.equal(codes, '141\n');
  });

  test('many at once each get their own, by a spare or without', async () => {
    const words = Array.from({ length: 12 }, (_, i) => `word${i}`);
    const outcomes = await Promise.all(words.map((word) => engine.gantry(['exec', 'box', 'echo', word])));
    assert.deepEqual(
      outcomes,
      words.map((word) => ({ code: 0, stdout: `${word}\n`, stderr: '' })),
    );
  });

  test('is not handed over where it would not be the same: then it runs by itself', async () => {
    assert.equal((await byspare(['-v'])).code, 0);
    const others: readonly (readonly [string, RegExp])[] = [
      ['$gantry -v <&-', /closed/],
      ['TZ=UTC $gantry -v', /environment/],
      ['BUN_JSC_useJIT=1 $gantry -v', /environment/],
      ['$gantry exec --env-file /dev/fd/7 box true 7</dev/null', /argument/],
      ['$gantry -H "$GANTRY_HOST" ps -q', /another engine/],
      ['nice -n 5 $gantry -v', /other circumstances/],
      ['ulimit -c 0; ulimit -s 4096; $gantry -v', /other circumstances/],
      ['unshare -m $gantry -v', /other circumstances/],
      ['unshare -u $gantry -v', /other circumstances/],
      ['setpriv --bounding-set -sys_admin $gantry -v', /other circumstances/],
      ['setpriv --no-new-privs $gantry -v', /other circumstances/],
      ['taskset 1 $gantry -v', /other circumstances/],
      ['choom -n 500 -- $gantry -v', /other circumstances/],
    ];
    for (const [script, reason] of others) {
      // With a spare at hand, so that this is not the reason.
      assert.equal((await byspare(['-v'])).code, 0);
      const refused = await shell(script);
      assert.equal(refused.code, 1, `${script}: ${refused.stdout}${refused.stderr}`);
      assert.match(refused.stderr, reason, script);
      const alone = await shell(script, {});
      assert.equal(alone.code, 0, `${script}: ${alone.stderr}`);
    }
  });

  test('is not handed to who is not trusted as much, nor to a spare of another program', async () => {
    assert.equal(statSync(`${engine.root}/gantry.sock.standby`).mode & 0o777, 0o600);
    const folder = `${engine.root}/other`;
    mkdirSync(folder);
    chmodSync(engine.root, 0o711);
    const standIn = spawn(`${project}/build/gantry-standby`, [`${folder}/e.sock.standby`, '/bin/sleep'], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    });
    await until(() => (existsSync(`${folder}/e.sock.standby`) ? true : undefined));
    for (let time = 0; time < 2; time++) {
      const refused = await shell('$gantry -v', { ...handed, GANTRY_HOST: `unix://${folder}/e.sock` });
      assert.match(refused.stderr, /no spare took the command/);
      assert.deepEqual(childrenOf(standIn.pid ?? 0), []);
    }
    const gone = ended(standIn);
    (standIn.stdio[3] as import('node:net').Socket).destroy();
    assert.equal(await gone, 0);
    const listener = spawn(
      'setpriv',
      [
        '--reuid=1000',
        '--clear-groups',
        process.execPath,
        '-e',
        `
        process.umask(0);
        require('node:net').createServer((s) => s.on('data', (d) => console.log('taken', d.length))).listen('${folder}/theirs.sock.standby', () => console.log('listening'))`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    chmodSync(folder, 0o777);
    let heard = '';
    listener.stdout.on('data', (data: Buffer) => {
      heard += data.toString('utf8');
    });
    await until(() => (heard.includes('listening') ? true : undefined));
    const refused = await shell('$gantry -v', { ...handed, GANTRY_HOST: `unix://${folder}/theirs.sock` });
    assert.match(refused.stderr, /nothing of this user's listens/);
    await stopProcess(listener);
    assert.equal(heard, 'listening\n');
  });

  test('spares go when none is asked for, and with the engine, however it ends; commands under way end with it', async () => {
    assert.equal((await byspare(['-v'])).code, 0);
    const first = standby();
    await until(() => (childrenOf(first).length === 0 ? true : undefined));
    assert.equal((await byspare(['-v'])).code, 0);
    const { child, spare } = await begin(['events']);
    const spares = childrenOf(first);
    assert.ok(spares.includes(spare));
    const code = ended(child);
    await engine.kill('SIGKILL');
    assert.equal(typeof (await code), 'number');
    await until(() => ([first, ...spares].every((pid) => stateOf(pid) === '') ? true : undefined));
    await engine.restart();
    assert.equal((await byspare(['ps', '-q'])).code, 0);
    const second = standby();
    await engine.restart();
    assert.equal(stateOf(second), '');
  });
});
