import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { until } from '../../e2e/harness/program.ts';

export const installed = (program: string): string | undefined =>
  [`/usr/bin/${program}`, `/usr/sbin/${program}`].find((path) => existsSync(path));

/** Runs to the end, quietly. @throws Error with what it said, where it fails */
export async function quietly(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (data: Buffer) => {
    said += data.toString('utf8');
  });
  const code = await new Promise((done) => child.once('close', done));
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${said}`);
}

/**
 * A command that runs in the network namespace `name`, so that a peer's firewall rules stay out of the host's. Not by
 * `ip netns exec`: that hides the host's cgroups.
 */
export const inNamespace = (name: string | undefined, command: readonly string[]): readonly [string, string[]] => {
  const [program = '', ...args] = name === undefined ? command : ['nsenter', `--net=/run/netns/${name}`, ...command];
  return [program, args];
};

/** A network namespace of the bench's own, gone when disposed of. */
export function makeNamespace(name: string): Disposable {
  const ip = (...args: string[]) => {
    const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  };
  ip('netns', 'add', name);
  ip('-n', name, 'link', 'set', 'lo', 'up');
  return {
    [Symbol.dispose]() {
      spawnSync('ip', ['netns', 'delete', name]);
    },
  };
}

export interface Docker extends AsyncDisposable {
  readonly env: NodeJS.ProcessEnv;
}

/** Debian's dockerd with private roots and socket. */
export async function startDocker(root: string, namespace: string | undefined): Promise<Docker> {
  mkdirSync(root, { recursive: true });
  const socket = `${root}/docker.sock`;
  const [program, args] = inNamespace(namespace, [
    ...['dockerd', '-H', `unix://${socket}`, '--data-root', `${root}/data`, '--exec-root', `${root}/run`],
    ...['--pidfile', `${root}/pid`],
    ...(namespace === undefined ? ['--bridge=none', '--iptables=false', '--ip-forward=false'] : []),
  ]);
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.on('data', (data: Buffer) => {
    said += data.toString('utf8');
  });
  const gone = new Promise((done) => child.once('close', done));
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`dockerd ended: ${said}`);
    const probe = spawnSync('docker', ['version'], { env: { ...process.env, DOCKER_HOST: `unix://${socket}` } });
    return probe.status === 0 ? true : undefined;
  });
  return {
    env: { ...process.env, DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: `${root}/config` },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

/** podman with private roots, on runc and with limits that this machine allows. */
export function podmanCommand(root: string): { readonly args: readonly string[]; readonly env: NodeJS.ProcessEnv } {
  mkdirSync(root, { recursive: true });
  const limits = 'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]';
  writeFileSync(
    `${root}/containers.conf`,
    `[containers]\n${limits}\n[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "${root}/networks"\n`,
  );
  writeFileSync(`${root}/policy.json`, '{"default":[{"type":"insecureAcceptAnything"}]}');
  return {
    args: ['podman', '--root', `${root}/root`, '--runroot', `${root}/run`, '--tmpdir', `${root}/tmp`],
    env: { ...process.env, CONTAINERS_CONF: `${root}/containers.conf`, XDG_RUNTIME_DIR: root },
  };
}
