import { rmSync } from 'node:fs';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import type { Mount } from '#oci/index.ts';
import type { Task } from '#runtime/index.ts';
import { cgroupPathOf } from './cgroup-path.ts';
import { connectEndpoints, reserveEndpoints, tellEndpoints, writeNetworkFiles } from './container-network.ts';
import type { Context } from './context.ts';
import type { Container } from './engine.ts';
import { explained } from './exec-failure.ts';
import { watchTask } from './exits.ts';
import { blockDevicesOf, devicesOf } from './host-devices.ts';
import { joinNamespaces } from './joined-namespaces.ts';
import { linkEnvironment } from './legacy-links.ts';
import type { Live } from './lives.ts';
import { fileLimits, lineAttributes, loggingOf } from './logging/log-options.ts';
import { openMountSources } from './mount-sources.ts';
import { removeContainer } from './remove-container.ts';
import { releaseSharedMemory, sharedMemoryOf } from './shared-memory.ts';
import { createSpans, type Spans } from './spans.ts';
import { idMapped } from './spec/mounts.ts';
import { composeSpec } from './spec/runtime-spec.ts';
import { watchHealth } from './unhealthy.ts';
import { userFilesIn } from './user-files.ts';
import { fillVolumes } from './volume-copy-up.ts';
import { tellVolumes } from './volume-events.ts';

interface StartOptions {
  readonly signal?: AbortSignal;
  /** Its restart policy asks for it: no start where somebody stopped or removed it meanwhile. */
  readonly byPolicy?: boolean;
}

/** Starts a container. Resolves once its process has been exec'd; false where it runs already. */
export async function startContainer(context: Context, nameOrId: string, options: StartOptions = {}): Promise<boolean> {
  const { store, lives } = context;
  const { id } = store.find(nameOrId);
  return lives.exclusive(id, async () => {
    if (options.byPolicy === true && store.get(id)?.state.status !== 'restarting') return false;
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
      const task = await prepare(context, container, live, spans, options);
      watchTask(context, id, task);
      await spans.measure('runtime.start', ['exec'], () => task.start(options));
      const { stoppedByUser: _cleared, endpoints: _old, health: _oldHealth, ...rest } = container;
      const running: Container = {
        ...rest,
        state: { status: 'running', pid: task.pid, startedAt: new Date().toISOString() },
        endpoints: context.networks.endpointsOf(id),
      };
      store.put(running);
      tellEndpoints(context, running, 'connect');
      tellVolumes(context, running, 'mount');
      context.tell(running, 'start');
      watchHealth(context, running, task);
      return true;
    } catch (failure) {
      const { path, args, env, workingDir } = container.resolved;
      const error = await explained(context, container, { args: [path, ...args], env, cwd: workingDir }, failure);
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
): Promise<Task> {
  const { driver, mountPoints } = context;
  const { id } = container;
  context.forwarding.follow(container, live.exited.promise, { mustBeThere: true });
  const rootfs = mountPoints.below(await driver.mounts(id));
  // Seen through the container's ids, its files stay as the image has them.
  const mapped = container.userRange === undefined ? rootfs : rootfs.map(idMapped);
  const endpoints = await spans.measure('network.reserve', ['address', 'ports'], () =>
    reserveEndpoints(context, container),
  );
  const user = await spans.measure('rootfs.read', ['detached mount'], async () => userFilesIn(rootfs));
  using sources = await spans.measure('mounts.open', [], () => openMountSources(context, container));
  if (container.mounts.some((mount) => mount.type === 'volume'))
    await spans.measure('volumes.fill', [], () => fillVolumes(context, container));
  const files = await spans.measure('files.write', [], () => writeNetworkFiles(context, container));
  using joined = await joinNamespaces(context, container);
  const sharedMemory = await sharedMemoryOf(context, container, joined.ipcDonor);
  const { spec } = composeSpec({
    id,
    options: container.options,
    image: container.imageConfig,
    user,
    mounts: mappedVolumes(container, sources.mounts),
    ...(container.userRange === undefined ? {} : { userRange: container.userRange }),
    files,
    linkEnvironment: linkEnvironment(context, container),
    cgroupsPath: cgroupPathOf(context.options.cgroupParent, container.options.cgroupParent, id),
    host: {
      devices: await devicesOf(container.options),
      blockDevices: await blockDevicesOf(container.options),
      joined: joined.paths,
      ...(sharedMemory === undefined ? {} : { sharedMemory }),
    },
  });
  rmSync(context.taskDirectory(id), { recursive: true, force: true });
  const { terminal = false, openStdin = false, stdinOnce = false, consoleSize, init = false } = container.options;
  const task = await spans.measure('runtime.create', ['shim', 'namespaces', 'cgroup', 'mounts'], () =>
    context.runtimeOf(container).create(
      {
        id,
        directory: context.taskDirectory(id),
        spec,
        rootfs: mapped,
        init,
        volatile: container.options.autoRemove ?? false,
        stdio: {
          terminal,
          stdin: openStdin,
          stdinOnce,
          ...(consoleSize === undefined ? {} : { size: consoleSize }),
          ...(container.logPath === undefined
            ? {}
            : {
                log: {
                  path: container.logPath,
                  ...fileLimits(loggingOf(container.options)),
                  attributes: lineAttributes(container, loggingOf(container.options)),
                },
              }),
        },
      },
      options,
    ),
  );
  live.task = task;
  await Promise.all([
    ...live.pending.splice(0).map(async (pending) => {
      try {
        pending.bind(await task.attach());
      } catch (error) {
        pending.bind(undefined);
        throw error;
      }
    }),
    spans.measure('network.connect', ['veth', 'address', 'route', 'port map elements'], () =>
      connectEndpoints(context, container, endpoints, task.pid),
    ),
  ]);
  return task;
}

/** A volume belongs to containers, whichever ids of the host they have; a bind is the host's. */
const mappedVolumes = (container: Container, mounts: readonly Mount[]): readonly Mount[] =>
  container.userRange === undefined
    ? mounts
    : mounts.map((mount, index) => (container.mounts[index]?.type === 'volume' ? idMapped(mount) : mount));

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
  context.volumes.unmount(container.id);
  await releaseSharedMemory(context, container);
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
  store.settle(ended);
  context.tell(ended, 'die', { exitCode: String(exitCode) });
  live.exited.resolve({ exitCode, error: messageOf(error) });
  live.exited = Promise.withResolvers();
  if (container.options.autoRemove)
    removeContainer(context, container.id, { volumes: true }).catch((e: unknown) =>
      options.onError(e, `removing ${container.id}`),
    );
}
