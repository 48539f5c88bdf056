import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { after, afterEach, before, suite, test } from 'node:test';
import { listenForDescriptor } from '../harness/descriptor-socket.ts';
import { openWorkbench, program, reasonToSkip, type Workbench } from './workbench.ts';

suite('gantry-runtime', { skip: reasonToSkip }, () => {
  let bench: Workbench;
  let home: string;
  let root: string;
  let bundle: string;
  before(() => {
    bench = openWorkbench();
    ({ home, root, bundle } = bench);
  });
  afterEach(() => bench.clear());
  after(() => bench[Symbol.dispose]());
  const runtime: Workbench['runtime'] = (...words) => bench.runtime(...words);
  const succeed: Workbench['succeed'] = (...words) => bench.succeed(...words);
  const refuse: Workbench['refuse'] = (pattern, ...words) => bench.refuse(pattern, ...words);
  const state: Workbench['state'] = (id) => bench.state(id);
  const waitFor: Workbench['waitFor'] = (id, status) => bench.waitFor(id, status);
  const configure: Workbench['configure'] = (script, change) => bench.configure(script, change);
  const assertNothingLeft = () => bench.assertNothingLeft();

  test('run gives the output and exit code of its process and leaves nothing', () => {
    configure('id -u; hostname; readlink /proc/self/ns/pid; echo err >&2; exit 9');
    const { status, stdout, stderr } = runtime('run', '--bundle', bundle, 'gtrt-run');
    assert.equal(status, 9, stderr);
    const [uid, hostname, pidNamespace] = stdout.split('\n');
    assert.deepEqual([uid, hostname], ['0', 'gantry']);
    assert.match(pidNamespace ?? '', /^pid:/);
    assert.notEqual(pidNamespace, execFileSync('readlink', ['/proc/self/ns/pid'], { encoding: 'utf8' }).trim());
    assert.equal(stderr, 'err\n');
    assertNothingLeft();
  });

  test('create, start, kill, delete: the lifecycle of the runtime specification', () => {
    configure('trap "exit 4" USR1; echo started > /dev/null; while :; do sleep 0.02; done');
    const pidFile = `${home}/pid`;
    succeed('create', '--bundle', bundle, '--pid-file', pidFile, 'gtrt-life');
    const created = state('gtrt-life');
    assert.equal(created.status, 'created');
    assert.equal(created.bundle, bundle);
    assert.equal(readFileSync(pidFile, 'utf8'), String(created.pid));
    assert.match(readFileSync(`/proc/${created.pid}/comm`, 'utf8'), /launcher/);

    refuse(/gtrt-life exists already/, 'create', '--bundle', bundle, 'gtrt-life');
    refuse(/gtrt-life is created; stop it first/, 'delete', 'gtrt-life');
    succeed('start', 'gtrt-life');
    assert.equal(state('gtrt-life').status, 'running');
    assert.match(readFileSync(`/proc/${created.pid}/comm`, 'utf8'), /^sh$/m);
    refuse(/it is running, not created/, 'start', 'gtrt-life');
    refuse(/gtrt-life is running; stop it first/, 'delete', 'gtrt-life');
    assert.equal(succeed('list', '--quiet'), 'gtrt-life\n');
    assert.match(succeed('list'), /^ID +PID +STATUS +BUNDLE +CREATED +OWNER\ngtrt-life +\d+ +running/);
    assert.ok((JSON.parse(succeed('ps', '--format', 'json', 'gtrt-life')) as number[]).includes(created.pid));

    succeed('pause', 'gtrt-life');
    assert.equal(state('gtrt-life').status, 'paused');
    succeed('resume', 'gtrt-life');
    assert.equal(state('gtrt-life').status, 'running');

    refuse(/signal "NOPE" is not known/, 'kill', 'gtrt-life', 'NOPE');
    succeed('kill', 'gtrt-life', 'USR1');
    waitFor('gtrt-life', 'stopped');
    assert.equal(state('gtrt-life').pid, 0);
    refuse(/container not running: gtrt-life is stopped/, 'kill', 'gtrt-life');
    succeed('delete', 'gtrt-life');
    refuse(/gtrt-life does not exist/, 'state', 'gtrt-life');
    refuse(/gtrt-life does not exist/, 'delete', 'gtrt-life');
    succeed('delete', '--force', 'gtrt-life');
    assertNothingLeft();
  });

  test('exec runs one more process inside, also detached, and says why it cannot', () => {
    configure('while :; do sleep 1000; done');
    succeed('run', '--detach', '--bundle', bundle, 'gtrt-exec');
    const { status, stdout } = runtime(
      'exec',
      '--env',
      'A=b',
      '--user',
      '5:6',
      'gtrt-exec',
      'sh',
      '-c',
      'id -u; echo $A; hostname; exit 8',
    );
    assert.deepEqual([status, stdout], [8, '5\nb\ngantry\n']);
    writeFileSync(`${home}/process.json`, JSON.stringify({ args: ['sleep', '1000'], cwd: '/', env: ['PATH=/bin'] }));
    const pidFile = `${home}/exec-pid`;
    succeed('exec', '--detach', '--process', `${home}/process.json`, '--pid-file', pidFile, 'gtrt-exec');
    const pids = JSON.parse(succeed('ps', '--format', 'json', 'gtrt-exec')) as readonly number[];
    assert.ok(pids.includes(Number(readFileSync(pidFile, 'utf8'))));
    assert.equal(runtime('exec', 'gtrt-exec', 'no-such-command').status, 127);
    refuse(/executable file not found/, 'exec', '--detach', 'gtrt-exec', 'no-such-command');
    refuse(/--user root: give numbers/, 'exec', '--user', 'root', 'gtrt-exec', 'id');
    succeed('delete', '--force', 'gtrt-exec');
    assertNothingLeft();
  });

  test('delete --force ends a running container and one that was never started', () => {
    configure('while :; do sleep 1000; done');
    succeed('run', '--detach', '--bundle', bundle, 'gtrt-a');
    configure('exit 0');
    succeed('create', '--bundle', bundle, 'gtrt-b');
    const pids = ['gtrt-a', 'gtrt-b'].map((id) => state(id).pid);
    for (const id of ['gtrt-a', 'gtrt-b']) succeed('delete', '--force', id);
    for (const pid of pids)
      assert.ok(!existsSync(`/proc/${pid}/exe`) || /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')));
    assertNothingLeft();
  });

  test('run forwards signals', async () => {
    configure('trap "exit 6" TERM; echo ready; while :; do sleep 0.02; done');
    const child = spawn(program, ['--root', root, 'run', '--bundle', bundle, 'gtrt-signal']);
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    assert.deepEqual(await exit, [6, null]);
    assertNothingLeft();
  });

  test('a command that is not there is told by create, and nothing is made', () => {
    configure('', (config) => {
      if (config.process !== undefined) config.process = { ...config.process, args: ['no-such-command'] };
    });
    refuse(/"no-such-command": executable file not found in \$PATH/, 'create', '--bundle', bundle, 'gtrt-missing');
    refuse(/gtrt-missing does not exist/, 'state', 'gtrt-missing');
    assert.equal(runtime('run', '--bundle', bundle, 'gtrt-missing').status, 127);
    assertNothingLeft();
  });

  test('limits hold: memory, pids and devices', () => {
    configure('cat /proc/self/cgroup >/dev/null; exec tail /dev/zero', (config) => {
      config.linux = { ...config.linux, resources: { memory: { limit: 16 << 20 }, pids: { limit: 8 } } };
    });
    assert.equal(runtime('run', '--bundle', bundle, 'gtrt-limits').status, 137);
    assertNothingLeft();
  });

  test('preserved file descriptors, and no others, reach the process', () => {
    configure('cat <&3; (exec 2>/dev/null; : <&4) || echo closed');
    writeFileSync(`${home}/given`, 'given\n');
    const fds = [openSync(`${home}/given`, 'r'), openSync(`${home}/given`, 'r')] as const;
    const words = ['--root', root, 'run', '--bundle', bundle, '--preserve-fds', '1', 'gtrt-fds'];
    const { stdout, stderr } = spawnSync(program, words, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe', ...fds],
    });
    assert.equal(stdout, 'given\nclosed\n', stderr);
    refuse(
      /--preserve-fds 9: file descriptor \d+ is not open/,
      'run',
      '--bundle',
      bundle,
      '--preserve-fds',
      '9',
      'gtrt-fds',
    );
    assertNothingLeft();
  });

  test('the descriptors of socket activation reach the process, for run and exec, with its own pid', () => {
    configure('echo $LISTEN_FDS $LISTEN_PID; cat <&3; cat <&4');
    for (const name of ['first', 'second']) writeFileSync(`${home}/${name}`, `${name}\n`);
    const activated = (script: string, ...words: readonly string[]) =>
      spawnSync('sh', ['-c', script, 'sh', program, '--root', root, ...words], { encoding: 'utf8', cwd: home });
    const listen = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3<first 4<second';
    const { stdout, stderr } = activated(listen, 'run', '--bundle', bundle, '--preserve-fds', '1', 'gtrt-listen');
    assert.equal(stdout, '1 1\nfirst\nsecond\n', stderr);
    // What was meant for another is nobody's here.
    const others = activated('LISTEN_FDS=1 LISTEN_PID=1 exec "$@" 3<first', 'run', '--bundle', bundle, 'gtrt-listen');
    assert.match(others.stdout, /^\n/);
    const missing = activated('LISTEN_FDS=3 LISTEN_PID=$$ exec "$@" 3<first', 'run', '--bundle', bundle, 'gtrt-listen');
    assert.match(missing.stderr, /LISTEN_FDS=3: file descriptor 4 is not open/);
    configure('while :; do sleep 1000; done');
    succeed('run', '--detach', '--bundle', bundle, 'gtrt-listen');
    const exec = ['exec', '--preserve-fds', '2', 'gtrt-listen', 'sh', '-c', 'cat <&3; cat <&4'];
    assert.equal(activated('exec "$@" 3<first 4<second', ...exec).stdout, 'first\nsecond\n');
    succeed('delete', '--force', 'gtrt-listen');
    assertNothingLeft();
  });

  test('a terminal of exec goes to the console socket, detached or not', async () => {
    configure('while :; do sleep 1000; done');
    succeed('run', '--detach', '--bundle', bundle, 'gtrt-exec-tty');
    for (const how of [['--detach'], []]) {
      const socket = `${home}/exec-tty${how.length}.sock`;
      using receiver = listenForDescriptor(socket);
      const received = receiver.receive();
      const words = [
        'exec',
        '--tty',
        ...how,
        '--console-socket',
        socket,
        'gtrt-exec-tty',
        'sh',
        '-c',
        'tty; read line',
      ];
      const exec = spawn(program, ['--root', root, ...words], { stdio: ['ignore', 'ignore', 'inherit'] });
      const exit = once(exec, 'exit');
      const { fd: terminal } = await received;
      const bytes = Buffer.alloc(4096);
      assert.match(bytes.toString('utf8', 0, readSync(terminal, bytes)), /^\/dev\/pts\/\d+\r\n$/);
      writeSync(terminal, '\n');
      assert.deepEqual(await exit, [0, null]);
      closeSync(terminal);
    }
    refuse(/give --console-socket/, 'exec', '--tty', '--detach', 'gtrt-exec-tty', 'sh');
    succeed('delete', '--force', 'gtrt-exec-tty');
    assertNothingLeft();
  });

  test("a terminal's master goes to the console socket", async () => {
    configure('stty size; read line; echo "got $line"', (config) => {
      if (config.process !== undefined)
        config.process = { ...config.process, terminal: true, consoleSize: { height: 21, width: 43 } };
    });
    refuse(/give --console-socket/, 'create', '--bundle', bundle, 'gtrt-tty');
    const socket = `${home}/tty.sock`;
    using receiver = listenForDescriptor(socket);
    const received = receiver.receive();
    const create = spawn(
      program,
      ['--root', root, 'create', '--bundle', bundle, '--console-socket', socket, 'gtrt-tty'],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
    assert.deepEqual(await once(create, 'exit'), [0, null]);
    const { fd: terminal } = await received;
    succeed('start', 'gtrt-tty');
    writeSync(terminal, 'hello\n');
    waitFor('gtrt-tty', 'stopped');
    const bytes = Buffer.alloc(4096);
    const text = bytes.toString('utf8', 0, readSync(terminal, bytes));
    closeSync(terminal);
    assert.match(text, /21 43\r\n/);
    assert.match(text, /got hello\r\n/);
    succeed('delete', 'gtrt-tty');
    assertNothingLeft();
  });

  test('a bad configuration is refused by pointer and value before anything is made', () => {
    const cases: readonly (readonly [RegExp, (config: Record<string, unknown>) => void])[] = [
      [/\/ociVersion is "2\.0\.0"/, (config) => Object.assign(config, { ociVersion: '2.0.0' })],
      [/\/process\/args is \[\]/, (config) => Object.assign(config.process as object, { args: [] })],
      [
        /\/process\/cwd is "tmp"; it must be an absolute path/,
        (config) => Object.assign(config.process as object, { cwd: 'tmp' }),
      ],
      [
        /\/mounts\/0\/destination is nothing; it is required/,
        (config) => Object.assign(config, { mounts: [{ type: 'proc' }] }),
      ],
      [
        /\/linux\/namespaces\/0\/type is "net"; use one of pid, network/,
        (config) => Object.assign(config, { linux: { namespaces: [{ type: 'net' }] } }),
      ],
      [
        /\/linux\/resources\/memory\/limit is "1g"/,
        (config) => Object.assign(config.linux as object, { resources: { memory: { limit: '1g' } } }),
      ],
      [
        /linux\.intelRdt: no resctrl file system is mounted/,
        (config) => Object.assign(config.linux ?? {}, { intelRdt: { closID: 'x' } }),
      ],
      [
        /\/root\/path is ".*no-such-root"; there is no such directory/,
        (config) => Object.assign(config, { root: { path: 'no-such-root' } }),
      ],
      [
        /mount namespace of its own/,
        (config) => Object.assign(config.linux as object, { namespaces: [{ type: 'pid' }] }),
      ],
    ];
    for (const [pattern, change] of cases) {
      configure('exit 0', (config) => change(config as unknown as Record<string, unknown>));
      refuse(pattern, 'run', '--bundle', bundle, 'gtrt-bad');
      assertNothingLeft();
    }
    writeFileSync(`${bundle}/config.json`, '{');
    refuse(/config\.json is no JSON/, 'run', '--bundle', bundle, 'gtrt-bad');
    refuse(/container id "\.\.\/x"/, 'run', '--bundle', bundle, '../x');
    assertNothingLeft();
  });

  test('what is not known is refused by name, and errors go to the log as JSON', () => {
    const log = `${home}/log`;
    refuse(/"migrate" is no command/, '--log', log, '--log-format', 'json', 'migrate', 'gtrt');
    const { level, msg } = JSON.parse(readFileSync(log, 'utf8')) as { level: string; msg: string };
    assert.deepEqual([level, msg.includes('"migrate" is no command')], ['error', true]);
    refuse(/--rootless what: use auto, true or false/, '--rootless', 'what', 'list');
    configure('exit 0');
    refuse(/option --what is not known/, 'run', '--what', 'gtrt');
    refuse(/"frob" is no command/, 'frob');
    assert.match(succeed('--version'), /^gantry-runtime version/);
    assertNothingLeft();
  });
});
