import { randomBytes } from 'node:crypto';
import { close } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import type { Images } from '#images/index.ts';
import { mountDetached, openInRoot } from '#linux/index.ts';
import type { Networks } from '#network/index.ts';
import type { ContainerRuntime, ExitStatus, Task } from '#runtime/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import type { Volumes } from '#volumes/index.ts';
import { createContainerStore } from './container-store.ts';
import type { Container, ContainerOptions, Containers, Events, Span } from './engine.ts';
import { createExecs } from './execs.ts';
import { readLogs } from './logs.ts';
import { generateName } from './names.ts';
import { hostsFile, resolvConf } from './network-files.ts';
import { createPendingIo, type PendingIo } from './pending-io.ts';
import { readFilesIn, readOnlyView } from './rootfs.ts';
import { signalNumber } from './signals.ts';
import { composeSpec } from './spec/runtime-spec.ts';

export interface ContainersDeps {
  readonly db: DatabaseSync;
  readonly images: Images;
  readonly driver: GraphDriver;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly runtimes: ReadonlyMap<string, ContainerRuntime>;
  readonly events: Events;
}

export interface ContainersOptions {
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly defaultRuntime: string;
  readonly cgroupParent: string;
  /** Where a failure that no caller waits for is told. */
  readonly onError: (error: unknown, about: string) => void;
}

/** What lives in memory beside a container's row while it has a process or somebody waits for it. */
interface Live {
  task: Task | undefined;
  readonly pending: PendingIo[];
  exited: PromiseWithResolvers<{ exitCode: number; error?: string }>;
  readonly removed: PromiseWithResolvers<{ exitCode: number; error?: string }>;
  lock: Promise<unknown>;
  spans: Span[];
}

/** The containers of this engine, with what must be done once at start: `open`. */
export interface ContainersService extends Containers {
  /** Finds running containers again after a restart; what ended meanwhile is recorded, what is half made is undone. */
  open(): Promise<void>;
}

export function createContainers(deps: ContainersDeps, options: ContainersOptions): ContainersService {
  const { images, driver, networks, volumes, events } = deps;
  const store = createContainerStore(deps.db);
  const lives = new Map<string, Live>();

  const live = (id: string): Live => {
    let entry = lives.get(id);
    if (entry === undefined) {
      entry = {
        task: undefined,
        pending: [],
        exited: Promise.withResolvers(),
        removed: Promise.withResolvers(),
        lock: Promise.resolve(),
        spans: [],
      };
      lives.set(id, entry);
    }
    return entry;
  };
  /** One state change of a container at a time. */
  const exclusive = <T>(id: string, work: () => Promise<T>): Promise<T> => {
    const entry = live(id);
    const result = entry.lock.then(work, work);
    entry.lock = result.catch(() => undefined);
    return result;
  };
  const home = (id: string) => `${options.dataRoot}/containers/${id}`;
  const taskDirectory = (id: string) => `${options.execRoot}/tasks/${id}`;
  const runtimeOf = (container: Container): ContainerRuntime => {
    const name = container.options.runtime ?? options.defaultRuntime;
    const runtime = deps.runtimes.get(name);
    if (runtime === undefined) {
      throw new GantryError(
        'invalid',
        `unknown runtime "${name}"; known are ${[...deps.runtimes.keys()].join(', ')} (daemon: --add-runtime name=path)`,
      );
    }
    return runtime;
  };
  const tell = (container: Container, action: string, more: Readonly<Record<string, string>> = {}) =>
    events.publish({
      type: 'container',
      action,
      id: container.id,
      attributes: { ...container.resolved.labels, image: container.imageName, name: container.name, ...more },
    });
  const runningTask = (nameOrId: string): { container: Container; task: Task } => {
    const container = store.find(nameOrId);
    const task = lives.get(container.id)?.task;
    if (task === undefined || (container.state.status !== 'running' && container.state.status !== 'paused')) {
      throw new GantryError('conflict', `container ${container.name} is not running`, { code: 'not-running' });
    }
    return { container, task };
  };

  async function onExit(id: string, status: ExitStatus): Promise<void> {
    await exclusive(id, async () => {
      const container = store.find(id);
      const entry = live(id);
      await networks.release(id);
      await entry.task?.delete();
      entry.task = undefined;
      const { endpoint: _released, ...rest } = container;
      store.put({
        ...rest,
        state: {
          status: 'exited',
          exitCode: status.code,
          ...('startedAt' in container.state && container.state.startedAt !== undefined
            ? { startedAt: container.state.startedAt }
            : {}),
          finishedAt: status.at.toISOString(),
          oomKilled: status.oom,
        },
      });
      if (status.oom) tell(container, 'oom');
      tell(container, 'die', { exitCode: String(status.code) });
      const ended = entry.exited;
      entry.exited = Promise.withResolvers();
      ended.resolve({ exitCode: status.code });
    });
    const container = store.all().find((c) => c.id === id);
    if (container?.options.autoRemove) await remove(id, { volumes: true });
  }

  const watchTask = (id: string, task: Task) => {
    task
      .wait()
      .then((status) => onExit(id, status))
      .catch((error: unknown) => options.onError(error, `the exit of container ${id}`));
  };

  async function create(request: ContainerOptions) {
    const image = await images.get(request.image);
    const id = randomBytes(32).toString('hex');
    const name = request.name ?? generateName((n) => store.byName(n) !== undefined);
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
      throw new GantryError('invalid', `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
    }
    const holder = store.byName(name);
    if (holder !== undefined) {
      throw new GantryError(
        'conflict',
        `Conflict. The container name "/${name}" is already in use by container "${holder.id}". You have to remove (or rename) that container to be able to reuse that name.`,
        { code: 'name-in-use' },
      );
    }
    const composed = composeSpec({
      id,
      options: request,
      image: image.config,
      user: undefined,
      mounts: [],
      files: undefined,
      cgroupsPath: `${options.cgroupParent}/${id}`,
    });
    const mounts: Container['mounts'][number][] = [];
    for (const mount of request.mounts ?? []) {
      if (mount.type === 'tmpfs') {
        mounts.push({ type: 'tmpfs', source: '', target: mount.target, readOnly: mount.readOnly ?? false });
      } else if (mount.type === 'bind') {
        const source = mount.source ?? '';
        if (!source.startsWith('/'))
          throw new GantryError('invalid', `invalid mount: the bind source "${source}" must be an absolute path`);
        const found = await stat(source).catch(() => undefined);
        if (found === undefined) {
          if (!mount.createSource)
            throw new GantryError('invalid', `invalid mount config: bind source path does not exist: ${source}`);
          await mkdir(source, { recursive: true });
        }
        mounts.push({ type: 'bind', source, target: mount.target, readOnly: mount.readOnly ?? false });
      } else {
        const volume =
          (mount.source === undefined ? undefined : volumes.get(mount.source)) ??
          (await volumes.create(mount.source === undefined ? {} : { name: mount.source }));
        volumes.use(volume.name, id);
        mounts.push({
          type: 'volume',
          name: volume.name,
          source: volume.path,
          target: mount.target,
          readOnly: mount.readOnly ?? false,
        });
      }
    }
    for (const target of composed.resolved.volumes) {
      if (mounts.some((m) => m.target === target)) continue;
      const volume = await volumes.create({});
      volumes.use(volume.name, id);
      mounts.push({ type: 'volume', name: volume.name, source: volume.path, target, readOnly: false });
    }
    await driver.createDiff(id, image.chainId, { volatile: request.autoRemove ?? false });
    await mkdir(home(id), { recursive: true, mode: 0o710 });
    const container: Container = {
      id,
      name,
      created: new Date().toISOString(),
      imageId: image.id,
      imageName: request.image,
      options: { ...request, name },
      state: { status: 'created' },
      restartCount: 0,
      resolved: composed.resolved,
      mounts,
      ...(request.logDriver === 'none' ? {} : { logPath: `${home(id)}/${id}-json.log` }),
      provenance: composed.provenance,
    };
    store.put(container);
    tell(container, 'create');
    return { container, warnings: [] };
  }

  /** A fresh named volume takes what the image has at its target (Docker's copy-up). */
  async function fillVolumes(container: Container): Promise<void> {
    for (const mount of container.mounts) {
      if (mount.type !== 'volume') continue;
      if (container.options.mounts?.some((m) => m.target === mount.target && m.noCopy)) continue;
      if ((await readdir(mount.source)).length > 0) continue;
      const root = mountDetached(readOnlyView(await driver.mounts(container.id)));
      try {
        const inside = resolveDirectory(root, mount.target);
        if (inside === undefined) continue;
        try {
          await cp(`/proc/self/fd/${inside}/.`, mount.source, {
            recursive: true,
            verbatimSymlinks: true,
            preserveTimestamps: true,
          });
        } finally {
          close(inside);
        }
      } finally {
        close(root);
      }
    }
  }

  async function start(nameOrId: string, startOptions: { signal?: AbortSignal } = {}): Promise<boolean> {
    const { id } = store.find(nameOrId);
    return exclusive(id, async () => {
      const container = store.find(id);
      if (container.state.status === 'running') return false;
      if (container.state.status === 'paused')
        throw new GantryError('conflict', `cannot start a paused container, try unpause instead: ${container.name}`);
      const entry = live(id);
      const zero = performance.now();
      entry.spans = [];
      const span = async <T>(name: string, made: readonly string[], work: () => Promise<T>): Promise<T> => {
        const began = performance.now();
        try {
          return await work();
        } finally {
          entry.spans.push({ name, startMs: began - zero, durationMs: performance.now() - began, made });
        }
      };
      const mode = container.options.networkMode ?? 'bridge';
      const hostNetwork = mode === 'host';
      const runtime = runtimeOf(container);
      try {
        const rootfs = await driver.mounts(id);
        const bridged = !hostNetwork && mode !== 'none';
        const endpoint = bridged
          ? await span('network.reserve', ['address', 'ports'], () =>
              networks.reserve({
                owner: id,
                ownerName: container.name,
                network: mode === 'default' ? 'bridge' : mode,
                ports: container.options.ports ?? [],
              }),
            )
          : undefined;
        const [passwd = '', group = ''] = await span('rootfs.read', ['detached mount'], () =>
          readFilesIn(rootfs, ['/etc/passwd', '/etc/group']),
        );
        await span('volumes.fill', [], () => fillVolumes(container));
        const files = {
          hosts: `${home(id)}/hosts`,
          hostname: `${home(id)}/hostname`,
          resolvConf: `${home(id)}/resolv.conf`,
        };
        await Promise.all([
          writeFile(
            files.hosts,
            hostNetwork
              ? await readFile('/etc/hosts', 'utf8')
              : hostsFile({
                  hostname: container.resolved.hostname,
                  address: endpoint?.address,
                  gateway: endpoint?.gateway,
                  extraHosts: container.options.extraHosts ?? [],
                }),
          ),
          writeFile(files.hostname, `${container.resolved.hostname}\n`),
          writeFile(
            files.resolvConf,
            resolvConf(await readFile('/etc/resolv.conf', 'utf8'), container.options.dns ?? []),
          ),
        ]);
        const image = await images.get(container.imageId);
        const { spec } = composeSpec({
          id,
          options: container.options,
          image: image.config,
          user: { passwd, group },
          mounts: container.mounts,
          files,
          cgroupsPath: `${options.cgroupParent}/${id}`,
        });
        await rm(taskDirectory(id), { recursive: true, force: true });
        const task = await span('runtime.create', ['shim', 'namespaces', 'cgroup', 'mounts'], () =>
          runtime.create(
            {
              id,
              directory: taskDirectory(id),
              spec,
              rootfs,
              init: container.options.init ?? false,
              stdio: {
                terminal: container.options.terminal ?? false,
                stdin: container.options.openStdin ?? false,
                stdinOnce: container.options.stdinOnce ?? false,
                ...(container.logPath === undefined
                  ? {}
                  : { log: { path: container.logPath, maxBytes: 20 * 1024 * 1024, maxFiles: 5 } }),
              },
            },
            startOptions,
          ),
        );
        entry.task = task;
        if (endpoint !== undefined)
          await span('network.connect', ['veth', 'address', 'route', 'port map elements'], () =>
            networks.connect(endpoint, task.pid),
          );
        else if (!hostNetwork) await networks.loopbackOnly(task.pid);
        for (const pending of entry.pending.splice(0)) pending.bind(await task.attach());
        watchTask(id, task);
        await span('runtime.start', ['exec'], () => task.start(startOptions));
        store.put({
          ...container,
          state: { status: 'running', pid: task.pid, startedAt: new Date().toISOString() },
          ...(endpoint === undefined ? {} : { endpoint }),
        });
        tell(container, 'start');
        return true;
      } catch (error) {
        for (const pending of entry.pending.splice(0)) pending.bind(undefined);
        await failStart(container, entry, error);
        throw error;
      }
    });
  }

  async function failStart(container: Container, entry: Live, error: unknown): Promise<void> {
    const exitCode = isGantryError(error)
      ? error.code === 'command-not-found'
        ? 127
        : error.code === 'command-not-executable'
          ? 126
          : 128
      : 128;
    const message = messageOf(error);
    const { task } = entry;
    entry.task = undefined;
    if (task !== undefined) {
      await task.kill(9, { all: true }).catch(() => undefined);
      await task.wait().catch(() => undefined);
      await task.delete().catch((e: unknown) => options.onError(e, `undoing the start of ${container.id}`));
    }
    await networks.release(container.id);
    store.put({
      ...container,
      state: { status: 'exited', exitCode, finishedAt: new Date().toISOString(), oomKilled: false, error: message },
    });
    tell(container, 'die', { exitCode: String(exitCode) });
    entry.exited.resolve({ exitCode, error: message });
    entry.exited = Promise.withResolvers();
    if (container.options.autoRemove)
      queueMicrotask(
        () =>
          void remove(container.id, { volumes: true }).catch((e: unknown) =>
            options.onError(e, `removing ${container.id}`),
          ),
      );
  }

  async function wait(
    nameOrId: string,
    condition: 'not-running' | 'next-exit' | 'removed',
    waitOptions: { signal?: AbortSignal } = {},
  ) {
    const container = store.find(nameOrId);
    const entry = live(container.id);
    const { state } = container;
    if (condition === 'not-running' && state.status !== 'running' && state.status !== 'paused') {
      return { exitCode: state.status === 'exited' ? state.exitCode : 0 };
    }
    const wanted = condition === 'removed' ? entry.removed.promise : entry.exited.promise;
    if (waitOptions.signal === undefined) return wanted;
    const cancelled = Promise.withResolvers<never>();
    const cancel = () => cancelled.reject(new GantryError('cancelled', 'the wait was cancelled'));
    waitOptions.signal.addEventListener('abort', cancel, { once: true });
    try {
      return await Promise.race([wanted, cancelled.promise]);
    } finally {
      waitOptions.signal.removeEventListener('abort', cancel);
    }
  }

  async function stop(nameOrId: string, stopOptions: { timeoutSeconds?: number; signal?: string } = {}) {
    const container = store.find(nameOrId);
    const entry = live(container.id);
    const { task } = entry;
    if (task === undefined) return false;
    const gone = entry.exited.promise;
    if (container.state.status === 'paused') await unpause(container.id);
    const seconds = stopOptions.timeoutSeconds ?? container.options.stopTimeoutSeconds ?? 10;
    await task.kill(signalNumber(stopOptions.signal ?? container.resolved.stopSignal)).catch(ifGone);
    const timer = Promise.withResolvers<'late'>();
    const timeout = seconds < 0 ? undefined : setTimeout(() => timer.resolve('late'), seconds * 1000);
    const outcome = await Promise.race([gone, timer.promise]);
    clearTimeout(timeout);
    if (outcome === 'late') {
      await task.kill(9).catch(ifGone);
      await gone;
    }
    tell(container, 'stop');
    return true;
  }
  const ifGone = (error: unknown) => {
    if (!isGantryError(error, 'conflict') && !isGantryError(error, 'not-found')) throw error;
  };

  async function kill(nameOrId: string, signal = 'KILL') {
    const { container, task } = runningTask(nameOrId);
    await task.kill(signalNumber(signal));
    tell(container, 'kill', { signal: String(signalNumber(signal)) });
  }

  async function remove(nameOrId: string, removeOptions: { force?: boolean; volumes?: boolean } = {}) {
    const { id } = store.find(nameOrId);
    const found = store.find(id);
    if (found.state.status === 'running' || found.state.status === 'paused') {
      if (!removeOptions.force) {
        throw new GantryError(
          'conflict',
          `cannot remove container "${found.name}": container is ${found.state.status}: stop the container before removing or force remove`,
          { code: 'running' },
        );
      }
      const gone = live(id).exited.promise;
      await live(id).task?.kill(9, { all: true }).catch(ifGone);
      await gone;
    }
    await exclusive(id, async () => {
      const container = store.all().find((c) => c.id === id);
      if (container === undefined) return; // auto-removed meanwhile
      await networks.release(id);
      await driver.removeDiff(id);
      volumes.release(id);
      if (removeOptions.volumes) {
        for (const mount of container.mounts) {
          const volume = mount.name === undefined ? undefined : volumes.get(mount.name);
          if (volume?.anonymous) await volumes.remove(volume.name);
        }
      }
      await rm(taskDirectory(id), { recursive: true, force: true });
      await rm(home(id), { recursive: true, force: true });
      store.delete(id);
      tell(container, 'destroy');
      live(id).removed.resolve({ exitCode: container.state.status === 'exited' ? container.state.exitCode : 0 });
      lives.delete(id);
    });
  }

  async function pause(nameOrId: string) {
    const { container, task } = runningTask(nameOrId);
    if (container.state.status !== 'running')
      throw new GantryError('conflict', `container ${container.name} is already paused`);
    await task.pause();
    store.put({ ...container, state: { ...container.state, status: 'paused' } });
    tell(container, 'pause');
  }
  async function unpause(nameOrId: string) {
    const { container, task } = runningTask(nameOrId);
    if (container.state.status !== 'paused')
      throw new GantryError('conflict', `container ${container.name} is not paused`);
    await task.resume();
    store.put({ ...container, state: { ...container.state, status: 'running' } });
    tell(container, 'unpause');
  }

  async function open() {
    const alive = new Set<string>();
    for (const container of store.all()) {
      if (container.state.status !== 'running' && container.state.status !== 'paused') {
        await runtimeOf(container).cleanup(container.id, taskDirectory(container.id));
        continue;
      }
      const task = await runtimeOf(container).load(container.id, taskDirectory(container.id));
      if (task !== undefined) {
        live(container.id).task = task;
        alive.add(container.id);
        continue;
      }
      await runtimeOf(container).cleanup(container.id, taskDirectory(container.id));
      const { endpoint: _gone, ...rest } = container;
      store.put({
        ...rest,
        state: {
          status: 'exited',
          startedAt: container.state.startedAt,
          ...(await readExit(taskDirectory(container.id))),
        },
      });
    }
    await networks.open(alive);
    for (const id of alive) {
      const task = live(id).task;
      if (task !== undefined) watchTask(id, task);
    }
    const known = new Set(store.all().map((c) => c.id));
    for await (const diff of driver.diffs())
      if (/^[0-9a-f]{64}$/.test(diff) && !known.has(diff)) await driver.removeDiff(diff);
    for (const container of store.all())
      if (container.options.autoRemove && container.state.status === 'exited')
        await remove(container.id, { volumes: true });
  }

  const execs = createExecs({
    runningTask,
    execDirectory: (id) => `${options.execRoot}/tasks/exec-${id}`,
    mountsOf: (id) => driver.mounts(id),
    tell,
  });

  return {
    open,
    create,
    get: (nameOrId) => store.find(nameOrId),
    list: () => store.all(),
    start,
    stop,
    async restart(nameOrId, restartOptions = {}) {
      await stop(nameOrId, restartOptions);
      await start(nameOrId);
      tell(store.find(nameOrId), 'restart');
    },
    kill,
    pause,
    unpause,
    async rename(nameOrId, name) {
      const container = store.find(nameOrId);
      if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name))
        throw new GantryError('invalid', `Invalid container name (${name})`);
      if (store.byName(name) !== undefined) throw new GantryError('conflict', `the name "${name}" is already in use`);
      store.put({ ...container, name, options: { ...container.options, name } });
      tell(container, 'rename', { oldName: container.name, name });
    },
    remove,
    wait,
    async attach(nameOrId) {
      const container = store.find(nameOrId);
      const entry = live(container.id);
      if (entry.task !== undefined) return entry.task.attach();
      const pending = createPendingIo();
      entry.pending.push(pending);
      return pending.io;
    },
    async resize(nameOrId, size) {
      await runningTask(nameOrId).task.resize(size);
    },
    async *logs(nameOrId, logsOptions) {
      const container = store.find(nameOrId);
      if (container.logPath === undefined)
        throw new GantryError('unsupported', 'configured logging driver does not support reading');
      const ended =
        container.state.status === 'running' || container.state.status === 'paused'
          ? live(container.id).exited.promise
          : Promise.resolve();
      yield* readLogs(container.logPath, logsOptions, ended);
    },
    async top(nameOrId) {
      const { task } = runningTask(nameOrId);
      const rows = await Promise.all((await task.pids()).map(readProcess));
      return rows.filter((row) => row !== undefined);
    },
    stats: (nameOrId) => runningTask(nameOrId).task.stats(),
    async changes(nameOrId) {
      const { id } = store.find(nameOrId);
      return Array.fromAsync(driver.changes(id));
    },
    async export(nameOrId) {
      throw new GantryError('unsupported', `export of ${nameOrId} is not built yet`);
    },
    spans: (nameOrId) => live(store.find(nameOrId).id).spans,
    ...execs,
  };
}

/** The exit a shim recorded; 137 where it was killed before it could. */
async function readExit(directory: string) {
  try {
    const { code, oom, at } = JSON.parse(await readFile(`${directory}/exit.json`, 'utf8')) as {
      code: number;
      oom: boolean;
      at: string;
    };
    return { exitCode: code, oomKilled: oom, finishedAt: at };
  } catch {
    return {
      exitCode: 137,
      oomKilled: false,
      finishedAt: new Date().toISOString(),
      error: 'the shim is gone and left no exit status',
    };
  }
}

function resolveDirectory(root: number, path: string): number | undefined {
  try {
    return openInRoot(root, path, 'directory');
  } catch (error) {
    if (isGantryError(error, 'not-found') || isGantryError(error, 'invalid')) return undefined;
    throw error;
  }
}

async function readProcess(pid: number) {
  try {
    const [statText, cmdline] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ]);
    const fields = statText.slice(statText.lastIndexOf(')') + 2).split(' ');
    const { uid } = await stat(`/proc/${pid}`);
    const seconds = Math.floor((Number(fields[11]) + Number(fields[12])) / 100);
    const two = (n: number) => String(n).padStart(2, '0');
    return {
      pid,
      ppid: Number(fields[1]),
      user: String(uid),
      command:
        cmdline.replaceAll('\0', ' ').trim() || statText.slice(statText.indexOf('('), statText.lastIndexOf(')') + 1),
      time: `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`,
    };
  } catch {
    return undefined; // it ended meanwhile
  }
}
