import { GantryError } from '#errors/index.ts';
import { readArchive, statPath, writeArchive } from './archive.ts';
import { connectNetwork, disconnectNetwork } from './container-network.ts';
import { containerStats } from './container-stats.ts';
import { type ContainersDeps, type ContainersOptions, createContext } from './context.ts';
import { checkName, createContainer } from './create-container.ts';
import type { Containers } from './engine.ts';
import { explained } from './exec-failure.ts';
import { createExecs } from './execs.ts';
import { linkEnvironment } from './legacy-links.ts';
import { readLogs } from './logging/log-files.ts';
import { isReadable, loggingOf } from './logging/log-options.ts';
import { createPendingIo } from './pending-io.ts';
import { readProcess } from './processes.ts';
import { removeContainer } from './remove-container.ts';
import { reopenContainers } from './reopen.ts';
import { exportRootfs } from './rootfs.ts';
import { startContainer } from './start-container.ts';
import { killContainer, pauseContainer, stopContainer, unpauseContainer } from './stop-container.ts';
import { updateContainer } from './update-container.ts';
import { waitContainer } from './wait-container.ts';

/** The containers of this engine, with what must be done once at start and at the end. */
export interface ContainersService extends Containers {
  /** See `reopenContainers`. */
  open(): Promise<void>;
  /** Stops watching; the containers go on. */
  close(): Promise<void>;
}

/** The verbs of the containers, each in a file of its own. */
export function createContainers(deps: ContainersDeps, options: ContainersOptions): ContainersService {
  const context = createContext(deps, options);
  const { driver, lives, store, tell } = context;
  return {
    open: () => reopenContainers(context),
    async close() {
      await context.forwarding[Symbol.asyncDispose]();
      for (const live of lives.all()) {
        live.restart?.cancel();
        live.healthMonitor?.[Symbol.dispose]();
      }
    },
    create: (request) => createContainer(context, request),
    get: (nameOrId) => store.find(nameOrId),
    list: () => store.all(),
    start: (nameOrId, startOptions) => startContainer(context, nameOrId, startOptions),
    stop: (nameOrId, stopOptions) => stopContainer(context, nameOrId, stopOptions),
    update: (nameOrId, change) => updateContainer(context, nameOrId, change),
    async restart(nameOrId, stopOptions) {
      const { id } = store.find(nameOrId);
      await stopContainer(context, id, stopOptions);
      await startContainer(context, id);
      tell(store.find(id), 'restart');
    },
    kill: (nameOrId, signal) => killContainer(context, nameOrId, signal),
    pause: (nameOrId) => pauseContainer(context, nameOrId),
    unpause: (nameOrId) => unpauseContainer(context, nameOrId),
    async rename(nameOrId, name) {
      const container = store.find(nameOrId);
      checkName(context, name);
      context.networks.rename(container.id, name);
      const endpoints =
        container.endpoints === undefined ? {} : { endpoints: context.networks.endpointsOf(container.id) };
      const renamed = { ...container, name, options: { ...container.options, name }, ...endpoints };
      store.put(renamed);
      tell(renamed, 'rename', { oldName: `/${container.name}` });
    },
    remove: (nameOrId, removeOptions) => removeContainer(context, nameOrId, removeOptions),
    wait: (nameOrId, condition, waitOptions) => waitContainer(context, nameOrId, condition, waitOptions),
    async attach(nameOrId) {
      const container = store.find(nameOrId);
      const live = lives.of(container.id);
      tell(container, 'attach');
      if (live.task !== undefined) return live.task.attach();
      const pending = createPendingIo();
      live.pending.push(pending);
      return pending.io;
    },
    async resize(nameOrId, size) {
      const { container, task } = context.runningTask(nameOrId);
      // Without a terminal nothing has a size, which is no error to Docker's clients.
      if (container.options.terminal) await task.resize(size);
      tell(container, 'resize', { height: String(size.rows), width: String(size.columns) });
    },
    connectNetwork: (network, nameOrId, request) => connectNetwork(context, network, nameOrId, request),
    disconnectNetwork: (network, nameOrId) => disconnectNetwork(context, network, nameOrId),
    async logs(nameOrId, logsOptions) {
      const { id, logPath, state, options: asked } = store.find(nameOrId);
      if (logPath === undefined || !isReadable(loggingOf(asked)))
        throw new GantryError('unsupported', 'configured logging driver does not support reading');
      const runs = state.status === 'running' || state.status === 'paused';
      return await readLogs(logPath, logsOptions, runs ? lives.of(id).exited.promise : Promise.resolve());
    },
    async top(nameOrId) {
      const { container, task } = context.runningTask(nameOrId);
      const rows = await Promise.all((await task.pids()).map(readProcess));
      tell(container, 'top');
      return rows.filter((row) => row !== undefined);
    },
    stats: (nameOrId) => containerStats(context, nameOrId),
    changes: (nameOrId) => Array.fromAsync(driver.changes(store.find(nameOrId).id)),
    async export(nameOrId) {
      const container = store.find(nameOrId);
      const archive = await exportRootfs(context, container.id);
      tell(container, 'export');
      return archive;
    },
    tell: (nameOrId, action, attributes) => tell(store.find(nameOrId), action, attributes),
    statPath: (nameOrId, path) => statPath(context, nameOrId, path),
    readArchive: (nameOrId, path) => readArchive(context, nameOrId, path),
    writeArchive: (nameOrId, path, tar, archiveOptions) => writeArchive(context, nameOrId, path, tar, archiveOptions),
    spans: (nameOrId) => lives.spansOf(nameOrId) ?? lives.spansOf(store.find(nameOrId).id) ?? [],
    ...createExecs({
      runningTask: context.runningTask,
      execDirectory: (id) => context.taskDirectory(`exec-${id}`),
      linkEnvironment: (container) => linkEnvironment(context, container),
      mountsOf: (id) => driver.mounts(id),
      onError: options.onError,
      explained: (container, process, error) => explained(context, container, process, error),
      tell,
    }),
  };
}
