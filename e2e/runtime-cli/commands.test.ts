import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after, afterEach, before, suite, test } from 'node:test';
import { removeCgroup } from '../harness/cgroups.ts';
import { until } from '../harness/program.ts';
import { openTerminal } from '../harness/terminal.ts';
import { openWorkbench, program, reasonToSkip, type Workbench } from './workbench.ts';

suite("gantry-runtime's further commands and options", { skip: reasonToSkip }, () => {
  let bench: Workbench;
  before(() => {
    bench = openWorkbench();
  });
  afterEach(() => {
    bench.clear();
    bench.assertNothingLeft();
  });
  after(() => bench[Symbol.dispose]());

  /** A container that waits. */
  function start(id: string, change: Parameters<Workbench['configure']>[1] = () => undefined): void {
    bench.configure('while :; do sleep 1000; done', change);
    bench.succeed('run', '--detach', '--bundle', bench.bundle, id);
  }

  /** The content of a file of the container's cgroup: the first of these that there is. */
  function control(id: string, ...files: readonly string[]): string {
    const { cgroup } = JSON.parse(readFileSync(`${bench.root}/${id}/state.json`, 'utf8')) as { cgroup: string[] };
    const found = cgroup.flatMap((directory) => files.map((file) => `${directory}/${file}`)).find(existsSync);
    assert.ok(found, `no ${files} in ${cgroup}`);
    return readFileSync(found, 'utf8').trim();
  }

  test('exec takes identity, groups, capabilities and no-new-privs from its options', () => {
    start('gtrc-exec', (config) => {
      if (config.process !== undefined) config.process = { ...config.process, noNewPrivileges: false };
    });
    const status = (...options: readonly string[]) =>
      bench.succeed('exec', ...options, 'gtrc-exec', 'grep', '-E', '^(Uid|Groups|Cap|NoNew)', '/proc/self/status');
    const plain = status();
    assert.match(plain, /^NoNewPrivs:\t0$/m);
    const CAP_CHOWN = 1n;
    const set = (text: string, name: string) =>
      BigInt(`0x${new RegExp(`^${name}:\\s*(\\w+)$`, 'm').exec(text)?.[1] ?? 'none'}`);
    assert.equal(set(plain, 'CapEff') & CAP_CHOWN, 0n);
    const changed = status('--no-new-privs', '--cap', 'CAP_CHOWN', '-g', '10', '-g', '20', '--cwd', '/bin');
    assert.match(changed, /^NoNewPrivs:\t1$/m);
    assert.match(changed, /^Groups:\t10 20 *$/m);
    assert.equal(set(changed, 'CapEff') & CAP_CHOWN, CAP_CHOWN);
    assert.equal(set(changed, 'CapInh'), 0n);
    assert.match(status('--user', '5'), /^Uid:\t5\t5/m);
    bench.refuse(/--cap chown: use a name like CAP_CHOWN/, 'exec', '--cap', 'chown', 'gtrc-exec', 'id');
    bench.refuse(/--additional-gids x: give a number/, 'exec', '-g', 'x', 'gtrc-exec', 'id');
    bench.refuse(/--user 5:6:7/, 'exec', '--user', '5:6:7', 'gtrc-exec', 'id');
  });

  test('exec into a paused container is refused, or waits with --ignore-paused', async () => {
    start('gtrc-paused');
    bench.succeed('pause', 'gtrc-paused');
    bench.refuse(/it is paused; resume it, or use --ignore-paused/, 'exec', 'gtrc-paused', 'id');
    const words = ['--root', bench.root, 'exec', '--ignore-paused', 'gtrc-paused', 'sh', '-c', 'exit 3'];
    const child = spawn(program, words, { stdio: 'ignore' });
    const exit = once(child, 'exit');
    await until(() =>
      bench.succeed('ps', '--format', 'json', 'gtrc-paused').split(',').length > 2 ? true : undefined,
    );
    bench.succeed('resume', 'gtrc-paused');
    assert.deepEqual(await exit, [3, null]);
  });

  test('exec --cgroup joins a cgroup below, which must be there', () => {
    start('gtrc-sub');
    bench.refuse(/--cgroup nothing: there is no cgroup/, 'exec', '--cgroup', 'nothing', 'gtrc-sub', 'id');
    bench.refuse(
      /there is no cgroup \S*\/gantry-rt-\d+\/\d+\/nothing/,
      'exec',
      '--cgroup',
      '../../nothing',
      'gtrc-sub',
      'id',
    );
    bench.refuse(/there is no controller "frob"/, 'exec', '--cgroup', 'frob:/', 'gtrc-sub', 'id');
    const here = bench.succeed('exec', '--cgroup', '/', 'gtrc-sub', 'cat', '/proc/self/cgroup');
    assert.match(here, /:\/$/m); // the cgroup namespace begins at the container's own
  });

  test('a terminal in the foreground has the size of ours and follows it, for run and exec', async () => {
    bench.configure('stty size; tty; read line; echo "got $line"; exit 7', (config) => {
      if (config.process !== undefined) config.process = { ...config.process, terminal: true };
    });
    using terminal = openTerminal({}, 80, 24);
    const command = `${program} --root ${bench.root}`;
    terminal.type(`${command} run --bundle ${bench.bundle} gtrc-tty; echo code=$?\n`);
    await terminal.shows(/24 80\n\/dev\/pts\/0/);
    terminal.type('hello\n');
    await terminal.shows(/hello\ngot hello\n.*code=7/);
    start('gtrc-tty');
    // No prompt: the shell would ask the terminal where its cursor is.
    const script = 'echo be"gun"; until [ "$(stty size)" = "20 70" ]; do :; done; echo re"sized"; cat';
    terminal.type(`${command} exec --tty gtrc-tty sh -c '${script}'; echo code=$?\n`);
    await terminal.shows(/begun/);
    terminal.resize(70, 20);
    await terminal.shows(/resized/);
    terminal.key('C-d');
    await terminal.shows(/code=0/);
    terminal.type('stty -a | grep -o " icanon"; echo done\n');
    await terminal.shows(/icanon\ndone/);
  });

  test('input that is no terminal goes through the pty and ends', () => {
    bench.configure('cat', (config) => {
      if (config.process !== undefined) config.process = { ...config.process, terminal: true };
    });
    const { stdout, status } = bench.runtime('run', '--bundle', bench.bundle, 'gtrc-eof');
    assert.deepEqual([status, stdout], [0, '']);
  });

  test('update changes limits by options, file and stdin, and events and state tell what is', async () => {
    start('gtrc-update', (config) => {
      config.linux = { ...config.linux, resources: { memory: { limit: 64 << 20 }, pids: { limit: 50 } } };
    });
    const limits = () => [
      control('gtrc-update', 'memory.limit_in_bytes', 'memory.max'),
      control('gtrc-update', 'pids.max'),
    ];
    assert.deepEqual(limits(), [String(64 << 20), '50']);
    bench.succeed('update', '--memory', '32m', '--memory-swap', '32m', '--pids-limit', '40', 'gtrc-update');
    assert.deepEqual(limits(), [String(32 << 20), '40']);
    const file = `${bench.home}/limits.json`;
    writeFileSync(
      file,
      JSON.stringify({ memory: { limit: 48 << 20, swap: 48 << 20 }, cpu: { shares: 0 }, pids: { limit: 0 } }),
    );
    bench.succeed('update', '--resources', file, 'gtrc-update');
    assert.deepEqual(limits(), [String(48 << 20), '40']);
    bench.refuse(/--memory much: give a whole number/, 'update', '--memory', 'much', 'gtrc-update');
    bench.refuse(/has no class of service/, 'update', '--l3-cache-schema', 'L3:0=f', 'gtrc-update');
    writeFileSync(file, '{"memory":{"limit":"x"}}');
    bench.refuse(/\/linux\/resources\/memory\/limit is "x"/, 'update', '-r', file, 'gtrc-update');

    const { type, id, data } = JSON.parse(bench.succeed('events', '--stats', 'gtrc-update')) as {
      type: string;
      id: string;
      data: {
        pids: { current: number; limit: number };
        memory: { usage: { limit: number } };
        cpu: { usage: { total: number } };
      };
    };
    assert.deepEqual([type, id], ['stats', 'gtrc-update']);
    assert.deepEqual([data.pids.limit, data.memory.usage.limit], [40, 48 << 20]);
    assert.ok(data.pids.current >= 2 && data.cpu.usage.total > 0);
  });

  test('events prints a line each interval and each out-of-memory kill, and ends with the container', async () => {
    bench.configure('trap exit TERM; while :; do sleep 0.05; done', (config) => {
      config.linux = { ...config.linux, resources: { memory: { limit: 16 << 20, swap: 16 << 20 } } };
    });
    bench.succeed('run', '--detach', '--bundle', bench.bundle, 'gtrc-events');
    const child = spawn(program, ['--root', bench.root, 'events', '--interval', '50ms', 'gtrc-events'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    const lines = createInterface({ input: child.stdout });
    const seen = new Set<string>();
    lines.on('line', (line) => seen.add((JSON.parse(line) as { type: string }).type));
    await until(() => (seen.has('stats') ? true : undefined));
    bench.runtime('exec', 'gtrc-events', 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=40M', 'count=1');
    await until(() => (seen.has('oom') ? true : undefined));
    bench.succeed('kill', 'gtrc-events', 'KILL');
    assert.deepEqual(await exit, [0, null]);
    bench.refuse(/container not running/, 'events', '--stats', 'gtrc-events');
    bench.refuse(/--interval soon/, 'events', '--interval', 'soon', 'gtrc-events');
  });

  test("ps shows the host's table of the container's processes, and passes options on", () => {
    start('gtrc-ps');
    const table = bench.succeed('ps', 'gtrc-ps').split('\n');
    assert.match(table[0] ?? '', /^UID +PID/);
    assert.ok(table.slice(1).some((line) => line.includes('sleep 1000')));
    assert.match(bench.succeed('ps', 'gtrc-ps', '-o', 'pid,comm', '-e'), /^ *PID COMMAND\n *\d+ sh\n/);
    bench.refuse(/no PID column/, 'ps', 'gtrc-ps', '-o', 'comm', '-e');
    bench.refuse(/--format yaml: use table or json/, 'ps', '--format', 'yaml', 'gtrc-ps');
  });

  test('kill --all reaches every process, delete of one that runs needs --force', () => {
    bench.configure('sh -c "while :; do sleep 1000; done" & wait');
    bench.succeed('run', '--detach', '--bundle', bench.bundle, 'gtrc-all');
    bench.refuse(/is running; stop it first/, 'delete', 'gtrc-all');
    bench.succeed('kill', '--all', 'gtrc-all', 'KILL');
    bench.waitFor('gtrc-all', 'stopped');
    bench.succeed('delete', 'gtrc-all');
  });

  test('run --keep leaves a stopped container behind', () => {
    bench.configure('exit 2');
    assert.equal(bench.runtime('run', '--keep', '--bundle', bench.bundle, 'gtrc-keep').status, 2);
    assert.equal(bench.state('gtrc-keep').status, 'stopped');
    bench.succeed('delete', 'gtrc-keep');
  });

  test('--systemd-cgroup makes the directories that systemd would', () => {
    const slice = (path: string) => (config: { linux?: object }) => {
      config.linux = { ...config.linux, cgroupsPath: path };
    };
    bench.configure('cat /proc/self/cgroup', slice('gtrc-unit.slice:gtrc:box'));
    bench.succeed('--systemd-cgroup', 'create', '--bundle', bench.bundle, 'gtrc-slice');
    assert.ok(control('gtrc-slice', 'cgroup.procs').length > 0);
    const { cgroup } = JSON.parse(readFileSync(`${bench.root}/gtrc-slice/state.json`, 'utf8')) as { cgroup: string[] };
    assert.ok(
      cgroup.every((path) => path.endsWith('/gtrc.slice/gtrc-unit.slice/gtrc-box.scope')),
      String(cgroup),
    );
    bench.succeed('delete', '--force', 'gtrc-slice');
    bench.configure('exit 0', slice('/a/path'));
    bench.refuse(
      /cgroupsPath is "\/a\/path"; with --systemd-cgroup it must be slice:prefix:name/,
      ...['--systemd-cgroup', 'run', '--bundle', bench.bundle, 'gtrc-slice'],
    );
    removeCgroup('/gtrc.slice'); // systemd would take its slices away too
  });

  test('--no-pivot changes the root too; --no-new-keyring stays in the caller’s session keyring', () => {
    bench.configure('cat /proc/1/cmdline | grep -q stty; [ -e /bin/busybox ] && [ ! -e /usr ] && echo inside');
    const { stdout, stderr } = bench.runtime(
      'run',
      '--no-pivot',
      '--no-new-keyring',
      '--bundle',
      bench.bundle,
      'gtrc-np',
    );
    assert.equal(stdout, 'inside\n', stderr);
  });

  test('a log has errors in lines of text or JSON, with level, message and time', () => {
    const log = `${bench.home}/log`;
    bench.refuse(/gtrc-none does not exist/, '--log', log, '--log-format', 'json', 'state', 'gtrc-none');
    const line = JSON.parse(readFileSync(log, 'utf8')) as Readonly<Record<string, string>>;
    assert.deepEqual(Object.keys(line), ['level', 'msg', 'time']);
    assert.equal(line.level, 'error');
    assert.match(line.msg ?? '', /gtrc-none does not exist/);
    rmSync(log);
    bench.refuse(/gtrc-none/, '--log', log, 'state', 'gtrc-none');
    assert.match(readFileSync(log, 'utf8'), /^time="[^"]+" level=error msg="container gtrc-none does not exist/);
    bench.refuse(/--log-format xml: use text or json/, '--log-format', 'xml', 'list');
  });

  test('features, spec and help say what there is', () => {
    const features = JSON.parse(bench.succeed('features')) as {
      linux: { namespaces: string[] };
      mountOptions: string[];
    };
    assert.ok(features.linux.namespaces.includes('pid'));
    assert.ok(features.mountOptions.includes('rro'));
    rmSync(`${bench.bundle}/config.json`, { force: true });
    bench.succeed('spec', '--rootless', '--bundle', bench.bundle);
    const spec = JSON.parse(readFileSync(`${bench.bundle}/config.json`, 'utf8')) as {
      linux: { uidMappings: object[] };
    };
    assert.equal(spec.linux.uidMappings.length, 1);
    bench.refuse(/exists already/, 'spec', '--bundle', bench.bundle);
    assert.match(bench.succeed('--help'), /checkpoint|update \[--resources/);
    assert.match(bench.succeed('exec', '--help'), /exec \[--detach\]/);
  });
});
