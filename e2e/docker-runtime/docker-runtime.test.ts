import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import { cgroupDirectories, removeCgroup } from '../harness/cgroups.ts';
import { busyboxRootfs } from '../harness/images.ts';
import { until } from '../harness/program.ts';
import { openTerminal } from '../harness/terminal.ts';
import { type DockerDaemon, startDocker } from './docker-daemon.ts';

const needed = ['/usr/sbin/dockerd', '/usr/bin/containerd', '/usr/bin/containerd-shim-runc-v2', '/usr/bin/busybox'];
const absent =
  needed.find((path) => !existsSync(path)) ??
  (spawnSync('docker', ['--version']).status === 0 ? undefined : 'the docker client');

suite('dockerd with --runtime gantry', { skip: absent === undefined ? false : `${absent} is not installed` }, () => {
  let daemon: DockerDaemon;
  const cgroup = `/gantry-docker-${process.pid}`;

  async function ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await daemon.docker(args);
    assert.equal(code, 0, `docker ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
  const container = (...args: readonly string[]) => [
    ...['run', '--runtime', 'gantry', '--network', 'host', '--cgroup-parent', cgroup],
    ...args,
  ];

  before(async () => {
    daemon = await startDocker();
    const { code, stderr } = await daemon.docker(['import', '-', 'box'], { input: busyboxRootfs() });
    assert.equal(code, 0, stderr);
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    removeCgroup(cgroup);
  });

  test('run gives output, exit codes and identities', async () => {
    assert.equal(await ok(...container('--rm', 'box', 'sh', '-c', 'echo $$ $(id -u)')), '1 0\n');
    assert.equal(await ok(...container('--rm', '--user', 'ana', 'box', 'id', '-un')), 'ana\n');
    assert.equal((await daemon.docker(container('--rm', 'box', 'sh', '-c', 'exit 7'))).code, 7);
    assert.equal((await daemon.docker(container('--rm', '-i', 'box', 'cat'), { input: 'in\n' })).stdout, 'in\n');
  });

  test("a network namespace of its own is handed to docker's prestart hook", async () => {
    const words = container('--rm', 'box', 'ls', '/sys/class/net').map((word) => (word === 'host' ? 'none' : word));
    assert.equal(await ok(...words), 'lo\n');
  });

  test('a command that is not there is 127, one that cannot be run 126', async () => {
    const missing = await daemon.docker(container('--rm', 'box', 'nope'));
    assert.equal(missing.code, 127, missing.stderr);
    assert.match(missing.stderr, /OCI runtime create failed: .*"nope": executable file not found in \$PATH/);
    const unable = await daemon.docker(container('--rm', 'box', '/etc/passwd'));
    assert.equal(unable.code, 126, unable.stderr);
  });

  test('run -it and exec -it have terminals that follow the size of ours', async () => {
    using terminal = openTerminal(daemon.env, 80, 24);
    terminal.type(`docker ${container('--rm', '-it', '--name', 'tty', 'box', 'sh').join(' ')}\n`);
    await terminal.shows(/\/ #/);
    // docker tells the size once the container runs: until then it is 0 0, which stty takes for an error.
    terminal.type('until [ "$(stty size 2>&1)" = "24 80" ]; do :; done; tty; echo re"ady"\n');
    await terminal.shows(/\/dev\/pts\/0\nready/);
    terminal.resize(70, 20);
    terminal.type('until [ "$(stty size)" = "20 70" ]; do :; done; echo re"sized"\n');
    await terminal.shows(/resized/);
    using second = openTerminal(daemon.env, 60, 15);
    second.type('docker exec -it tty sh\n');
    await second.shows(/\/ #/);
    second.type('until [ "$(stty size)" = "15 60" ]; do :; done; tty; exit 6\n');
    await second.shows(/\/dev\/pts\/1/);
    terminal.type('exit 5\n');
    await terminal.shows(/exit 5\n.*#\s*$/);
    terminal.type('echo code=$?\n');
    await terminal.shows(/code=5/);
  });

  test('exec, logs, top, stats, update, pause, stop and rm', async () => {
    const script = 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.05; done';
    const limits = ['--memory', '64m', '--memory-swap', '64m', '--pids-limit', '50', '--cpus', '0.5'];
    const id = (await ok(...container('-d', '--name', 'life', ...limits, 'box', 'sh', '-c', script))).trim();
    await until(async () => ((await ok('logs', 'life')) === 'up\n' ? true : undefined));
    assert.equal(await ok('exec', '-e', 'A=b', '-w', '/tmp', 'life', 'sh', '-c', 'echo $A $PWD'), 'b /tmp\n');
    assert.equal((await daemon.docker(['exec', 'life', 'sh', '-c', 'exit 4'])).code, 4);
    assert.equal((await daemon.docker(['exec', '-i', 'life', 'cat'], { input: 'in\n' })).stdout, 'in\n');
    const missing = await daemon.docker(['exec', 'life', 'nope']);
    assert.equal(missing.code, 126);
    assert.match(missing.stdout + missing.stderr, /"nope": executable file not found in \$PATH/);
    const control = (...files: readonly string[]) => {
      const found = cgroupDirectories(`${cgroup}/${id}`).flatMap((d) => files.map((file) => `${d}/${file}`));
      return readFileSync(found.find((file) => existsSync(file)) ?? '', 'utf8').trim();
    };
    const memory = () => Number(control('memory.limit_in_bytes', 'memory.max'));
    assert.equal(memory(), 64 << 20);
    await ok('update', '--memory', '32m', '--memory-swap', '32m', '--pids-limit', '40', 'life');
    assert.equal(memory(), 32 << 20);
    assert.equal(control('pids.max'), '40');
    assert.match(await ok('stats', '--no-stream', '--format', '{{.MemUsage}} {{.PIDs}}', 'life'), /\/ 32MiB [1-9]/);
    assert.match(await ok('top', 'life'), /sh -c trap/);
    await ok('pause', 'life');
    assert.match(await ok('ps', '--format', '{{.Names}} {{.Status}}'), /^life .*\(Paused\)$/m);
    await ok('unpause', 'life');
    await ok('stop', 'life');
    assert.equal(await ok('inspect', '--format', '{{.State.ExitCode}}', 'life'), '3\n');
    assert.equal(await ok('logs', 'life'), 'up\nbye\n');
    await ok('start', 'life');
    await ok('rm', '--force', 'life');
    assert.equal(await ok('ps', '--all', '--quiet'), '');
  });

  test('beyond its memory a container is killed, and docker knows why', async () => {
    const { code } = await daemon.docker(container('--name', 'oom', '--memory', '16m', 'box', 'tail', '/dev/zero'));
    assert.equal(code, 137);
    // Its containerd tells of the kill and of the exit in any order.
    await until(async () =>
      (await ok('inspect', '--format', '{{.State.OOMKilled}}', 'oom')) === 'true\n' ? true : undefined,
    );
    await ok('rm', 'oom');
  });
});
