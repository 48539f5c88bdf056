import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type Outcome, project, type RunOptions, run, stopProcess, until } from '../harness/program.ts';

/** Debian's dockerd with a containerd of its own: private roots and sockets, no bridge, no rules, our runtime by name. */
export interface DockerDaemon extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  docker(args: readonly string[], options?: RunOptions): Promise<Outcome>;
}

export async function startDocker(): Promise<DockerDaemon> {
  const home = mkdtempSync('/tmp/gantry-dockerd-');
  const started: ChildProcess[] = [];
  const env = { DOCKER_HOST: `unix://${home}/docker.sock`, DOCKER_CONFIG: `${home}/config` };
  const start = (program: string, args: readonly string[]) => {
    const log = openSync(`${home}/log`, 'a');
    const child = spawn(program, args, { cwd: home, stdio: ['ignore', log, log] });
    started.push(child);
    return child;
  };
  const stop = async () => {
    for (const child of started.toReversed()) await stopProcess(child);
  };
  const docker = (args: readonly string[], options: RunOptions = {}) =>
    run('docker', args, { ...options, env: { ...env, ...options.env } });

  writeFileSync(
    `${home}/containerd.toml`,
    `version = 2
root = "${home}/containerd"
state = "${home}/containerd-run"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${home}/containerd.sock"
`,
  );
  try {
    start('/usr/bin/containerd', ['--config', `${home}/containerd.toml`]);
    start('/usr/sbin/dockerd', [
      ...['--host', env.DOCKER_HOST, '--containerd', `${home}/containerd.sock`, '--pidfile', `${home}/dockerd.pid`],
      ...['--data-root', `${home}/data`, '--exec-root', `${home}/run`, '--storage-driver', 'vfs'],
      ...['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-masq=false'],
      // Hard limits are low, since a root without CAP_SYS_RESOURCE cannot raise its own.
      ...['--default-ulimit', 'nofile=1024:1024', '--add-runtime', `gantry=${project}/bin/gantry-runtime`],
    ]);
    await until(async () => {
      if (started.some(({ exitCode }) => exitCode !== null)) throw new Error(readFileSync(`${home}/log`, 'utf8'));
      return (await docker(['version'])).code === 0 ? true : undefined;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    env,
    docker,
    async [Symbol.asyncDispose]() {
      const { stdout } = await docker(['ps', '--all', '--quiet']);
      const left = stdout.split('\n').filter(Boolean);
      if (left.length > 0) await docker(['rm', '--force', ...left]);
      await stop();
      // It leaves the host's network namespace mounted on a name of its own.
      const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
      for (const line of mounts.toReversed())
        if (line.split(' ')[4]?.startsWith(`${home}/`)) await run('umount', [line.split(' ')[4] ?? '']);
      rmSync(home, { recursive: true, force: true });
    },
  };
}
