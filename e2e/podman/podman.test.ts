import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import { cgroupDirectories, removeCgroup } from '../harness/cgroups.ts';
import { busyboxRootfs } from '../harness/images.ts';
import { project, type RunOptions, run, until } from '../harness/program.ts';
import { openTerminal } from '../harness/terminal.ts';

const absent = ['/usr/bin/podman', '/usr/bin/conmon', '/usr/bin/busybox'].find((path) => !existsSync(path));
const runtime = `${project}/bin/gantry-runtime`;

suite('podman with gantry-runtime', { skip: absent === undefined ? false : `${absent} is not installed` }, () => {
  let home: string;
  let words: readonly string[];
  let env: Readonly<Record<string, string>>;
  const cgroup = `/gantry-podman-${process.pid}`;

  const podman = (args: readonly string[], options: RunOptions = {}) =>
    // conmon leaves a file `oom` in the directory it is started in.
    run('/usr/bin/podman', [...words, ...args], { ...options, env, cwd: home });
  async function ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await podman(args);
    assert.equal(code, 0, `podman ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
  const container = (...args: readonly string[]) => ['run', '--network', 'none', '--cgroup-parent', cgroup, ...args];

  before(async () => {
    home = mkdtempSync('/tmp/gantry-podman-');
    mkdirSync(`${home}/tmp`);
    writeFileSync(
      `${home}/containers.conf`,
      // Hard limits are low, since a root without CAP_SYS_RESOURCE cannot raise its own.
      `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
`,
    );
    env = { CONTAINERS_CONF: `${home}/containers.conf` };
    words = ['--root', `${home}/root`, '--runroot', `${home}/run`, '--tmpdir', `${home}/tmp`];
    words = [...words, '--storage-driver', 'vfs', '--runtime', runtime];
    writeFileSync(`${home}/busybox.tar`, busyboxRootfs());
    await ok('import', `${home}/busybox.tar`, 'box');
  });

  after(async () => {
    await ok('rm', '--force', '--all', '--time', '0');
    const monitors = () => cgroupDirectories(cgroup).flatMap((d) => pidsBelow(d));
    await until(() => (monitors().length === 0 ? true : undefined));
    removeCgroup(cgroup);
    rmSync(home, { recursive: true, force: true });
  });

  const pidsBelow = (directory: string): readonly string[] => [
    ...readFileSync(`${directory}/cgroup.procs`, 'utf8').split('\n').filter(Boolean),
    ...readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => pidsBelow(`${directory}/${entry.name}`)),
  ];

  test('run gives output, exit codes and identities', async () => {
    assert.equal(await ok(...container('--rm', 'box', 'sh', '-c', 'echo $$ $(id -u)')), '1 0\n');
    assert.equal(await ok(...container('--rm', '--user', 'ana', 'box', 'id', '-un')), 'ana\n');
    assert.equal((await podman(container('--rm', 'box', 'sh', '-c', 'exit 7'))).code, 7);
    assert.equal((await podman(container('--rm', '-i', 'box', 'cat'), { input: 'through\n' })).stdout, 'through\n');
  });

  test('a command that is not there is 127, one that cannot be run 126', async () => {
    const missing = await podman(container('--rm', 'box', 'nope'));
    assert.equal(missing.code, 127, missing.stderr);
    assert.match(missing.stderr, /"nope": executable file not found in \$PATH/);
    assert.equal((await podman(container('--rm', 'box', '/etc/passwd'))).code, 126);
  });

  test('run -it has a terminal of the right size, through conmon', async () => {
    using terminal = openTerminal(env, 80, 24);
    terminal.type(`podman ${[...words, ...container('--rm', '-it', 'box', 'sh')].join(' ')}\n`);
    await terminal.shows(/\/ #/);
    terminal.type('stty size; tty\n');
    await terminal.shows(/24 80\n\/dev\/pts\/0/);
    terminal.resize(70, 20);
    terminal.type('until [ "$(stty size)" = "20 70" ]; do :; done; echo re"sized"\n');
    await terminal.shows(/resized/);
    terminal.type('exit 5\n');
    await terminal.shows(/exit 5\n.*\$|bash.*#\s*$/);
    terminal.type('echo code=$?\n');
    await terminal.shows(/code=5/);
  });

  test('exec, logs, pause, stats, top, update, stop and rm', async () => {
    const script = 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.05; done';
    await ok(...container('-d', '--name', 'life', '--memory', '64m', '--pids-limit', '50', 'box', 'sh', '-c', script));
    await until(async () => ((await ok('logs', 'life')) === 'up\n' ? true : undefined));
    assert.equal(await ok('exec', '-e', 'A=b', '-w', '/tmp', 'life', 'sh', '-c', 'echo $A $PWD'), 'b /tmp\n');
    assert.equal((await podman(['exec', 'life', 'sh', '-c', 'exit 4'])).code, 4);
    assert.equal((await podman(['exec', 'life', 'nope'])).code, 127);
    const id = (await ok('inspect', '--format', '{{.Id}}', 'life')).trim();
    const limit = () => {
      const files = ['memory.limit_in_bytes', 'memory.max'];
      const found = cgroupDirectories(`${cgroup}/libpod-${id}`).flatMap((d) => files.map((file) => `${d}/${file}`));
      return Number(readFileSync(found.find((file) => existsSync(file)) ?? '', 'utf8'));
    };
    assert.equal(limit(), 64 << 20);
    await ok('update', '--memory', '32m', '--memory-swap', '32m', 'life');
    assert.equal(limit(), 32 << 20);
    assert.match(await ok('stats', '--no-stream', '--format', '{{.PIDs}}', 'life'), /^[1-9]/);
    assert.match(await ok('top', 'life', 'pid', 'args'), /^1 +sh -c trap/m);
    await ok('pause', 'life');
    assert.match(await ok('ps', '--all', '--format', '{{.Names}} {{.Status}}', '--filter', 'status=paused'), /^life/m);
    await ok('unpause', 'life');
    await ok('stop', 'life');
    assert.equal(await ok('inspect', '--format', '{{.State.ExitCode}}', 'life'), '3\n');
    assert.equal(await ok('logs', 'life'), 'up\nbye\n');
    await ok('start', 'life');
    await ok('rm', '--force', '--time', '0', 'life');
    assert.equal(await ok('ps', '--all', '--quiet'), '');
  });

  test('beyond its memory a container is killed', async () => {
    assert.equal((await podman(container('--rm', '--memory', '16m', 'box', 'tail', '/dev/zero'))).code, 137);
  });
});
