import { readFile, rm, writeFile } from 'node:fs/promises';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import type { Endpoint } from '#network/index.ts';
import type { Task } from '#runtime/index.ts';
import type { Context } from './context.ts';
import type { Container } from './engine.ts';
import { watchTask } from './exits.ts';
import { startHealthMonitor } from './health.ts';
import { blockDevicesOf, devicesOf } from './host-devices.ts';
import { joinNamespaces } from './joined-namespaces.ts';
import type { Live } from './lives.ts';
import { hostsFile, resolvConf } from './network-files.ts';
import { removeContainer } from './remove-container.ts';
import { readFilesIn } from './rootfs.ts';
import { createSpans, type Spans } from './spans.ts';
import { composeSpec } from './spec/runtime-spec.ts';
import { fillVolumes } from './volume-copy-up.ts';

interface StartOptions {
  readonly signal?: AbortSignal;
}

/** Starts a container. Resolves once its process has been exec'd; false where it runs already. */
export async function startContainer(context: Context, nameOrId: string, options: StartOptions = {}): Promise<boolean> {
  const { store, lives } = context;
  const { id } = store.find(nameOrId);
  return lives.exclusive(id, async () => {
    const container = store.find(id);
    const { status } = container.state;
    if (status === 'running') return false;
    if (status === 'paused')
      throw new GantryError('conflict', `cannot start a paused container, try unpause instead: ${container.name}`);
    const live = lives.of(id);
    live.restart?.cancel();
    const spans = createSpans();
    live.spans = spans.list;
    try {
      const { task, endpoint } = await prepare(context, container, live, spans, options);
      watchTask(context, id, task);
      await spans.measure('runtime.start', ['exec'], () => task.start(options));
      const { stoppedByUser: _cleared, endpoint: _old, health: _oldHealth, ...rest } = container;
      const running: Container = {
        ...rest,
        state: { status: 'running', pid: task.pid, startedAt: new Date().toISOString() },
        ...(endpoint === undefined ? {} : { endpoint }),
      };
      store.put(running);
      context.tell(running, 'start');
      startHealthMonitor(context, running, task);
      return true;
    } catch (error) {
      await undoStart(context, container, live, error);
      throw error;
    }
  });
}

/** Everything up to the exec: addresses, files, volumes, the task, its network, and the streams already asked for. */
async function prepare(
  context: Context,
  container: Container,
  live: Live,
  spans: Spans,
  options: StartOptions,
): Promise<{ task: Task; endpoint: Endpoint | undefined }> {
  const { driver, networks } = context;
  const { id } = container;
  const mode = container.options.networkMode ?? 'bridge';
  const rootfs = await driver.mounts(id);
  const endpoint =
    mode === 'none' || mode === 'host'
      ? undefined
      : await spans.measure('network.reserve', ['address', 'ports'], () =>
          networks.reserve({
            owner: id,
            ownerName: container.name,
            network: mode,
            ports: container.options.ports ?? [],
          }),
        );
  const [passwd = '', group = ''] = await spans.measure('rootfs.read', ['detached mount'], () =>
    readFilesIn(rootfs, ['/etc/passwd', '/etc/group']),
  );
  if (container.mounts.some((mount) => mount.type === 'volume'))
    await spans.measure('volumes.fill', [], () => fillVolumes(context, container));
  const files = await spans.measure('files.write', [], () => writeFiles(context, container, endpoint));
  using joined = await joinNamespaces(context, container);
  const { spec } = composeSpec({
    id,
    options: container.options,
    image: container.imageConfig,
    user: { passwd, group },
    mounts: container.mounts,
    files,
    cgroupsPath: `${context.options.cgroupParent}/${id}`,
    host: {
      devices: await devicesOf(container.options),
      blockDevices: await blockDevicesOf(container.options),
      joined: joined.paths,
    },
  });
  await rm(context.taskDirectory(id), { recursive: true, force: true });
  const { terminal = false, openStdin = false, stdinOnce = false, consoleSize, init = false } = container.options;
  const task = await spans.measure('runtime.create', ['shim', 'namespaces', 'cgroup', 'mounts'], () =>
    context.runtimeOf(container).create(
      {
        id,
        directory: context.taskDirectory(id),
        spec,
        rootfs,
        init,
        stdio: {
          terminal,
          stdin: openStdin,
          stdinOnce,
          ...(consoleSize === undefined ? {} : { size: consoleSize }),
          ...(container.logPath === undefined
            ? {}
            : { log: { path: container.logPath, maxBytes: 20 * 1024 * 1024, maxFiles: 5 } }),
        },
      },
      options,
    ),
  );
  live.task = task;
  if (endpoint !== undefined)
    await spans.measure('network.connect', ['veth', 'address', 'route', 'port map elements'], () =>
      networks.connect(endpoint, task.pid),
    );
  else if (mode === 'none') await networks.loopbackOnly(task.pid);
  for (const pending of live.pending.splice(0)) pending.bind(await task.attach());
  return { task, endpoint };
}

/** The files of /etc that the engine owns. */
async function writeFiles(context: Context, container: Container, endpoint: Endpoint | undefined) {
  const home = context.home(container.id);
  const files = { hosts: `${home}/hosts`, hostname: `${home}/hostname`, resolvConf: `${home}/resolv.conf` };
  const { extraHosts = [], dns = [], networkMode } = container.options;
  const { hostname } = container.resolved;
  const hosts =
    networkMode === 'host'
      ? await readFile('/etc/hosts', 'utf8')
      : hostsFile({ hostname, address: endpoint?.address, gateway: endpoint?.gateway, extraHosts });
  await Promise.all([
    writeFile(files.hosts, hosts),
    writeFile(files.hostname, `${hostname}\n`),
    writeFile(files.resolvConf, resolvConf(await readFile('/etc/resolv.conf', 'utf8'), dns)),
  ]);
  return files;
}

const exitCodes: Readonly<Record<string, number>> = { 'command-not-found': 127, 'command-not-executable': 126 };

async function undoStart(context: Context, container: Container, live: Live, error: unknown): Promise<void> {
  const { networks, store, options } = context;
  for (const pending of live.pending.splice(0)) pending.bind(undefined);
  const exitCode = (isGantryError(error) ? exitCodes[error.code] : undefined) ?? 128;
  const { task } = live;
  live.task = undefined;
  if (task !== undefined) {
    await task.kill(9, { all: true }).catch(() => undefined); // it may be gone already
    await task.wait().catch(() => undefined);
    await task.delete().catch((e: unknown) => options.onError(e, `undoing the start of ${container.id}`));
  }
  await networks.release(container.id);
  const ended: Container = {
    ...container,
    state: {
      status: 'exited',
      exitCode,
      finishedAt: new Date().toISOString(),
      oomKilled: false,
      error: messageOf(error),
    },
  };
  store.put(ended);
  context.tell(ended, 'die', { exitCode: String(exitCode) });
  live.exited.resolve({ exitCode, error: messageOf(error) });
  live.exited = Promise.withResolvers();
  if (container.options.autoRemove)
    removeContainer(context, container.id, { volumes: true }).catch((e: unknown) =>
      options.onError(e, `removing ${container.id}`),
    );
}
