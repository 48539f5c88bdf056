import { existsSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { isGantryError } from '#errors/index.ts';
import type { Task } from '#runtime/index.ts';
import { ownerOfDiff } from './container-mounts.ts';
import { serveNames } from './container-network.ts';
import type { Context } from './context.ts';
import type { Container } from './engine.ts';
import { scheduleRestart, watchTask } from './exits.ts';
import { clearMountPlaces, mountPlaces } from './mount-sources.ts';
import { sweepOrphanedExecs } from './orphaned-execs.ts';
import { removeContainer } from './remove-container.ts';
import { restartDelayMs, startsWithDaemon } from './restart-policy.ts';
import { releaseSharedMemory } from './shared-memory.ts';
import { watchHealth } from './unhealthy.ts';

/**
 * Finds running containers again after a restart; what ended meanwhile is recorded, what is half made is undone, what
 * its restart policy wants running is started.
 */
export async function reopenContainers(context: Context): Promise<void> {
  const { driver, lives, networks, store, volumes } = context;
  const alive = new Set<string>();
  for (const stored of store.all()) {
    const { id } = stored;
    const runtime = context.runtimeOf(stored);
    /** Of a task whose record is damaged nothing can be found; the others are. */
    const damaged = (error: unknown) => {
      if (!isGantryError(error, 'corrupt')) throw error;
      context.options.onError(error, `finding container ${id} again`);
      return undefined;
    };
    const task = await runtime.load(id, context.taskDirectory(id)).catch(damaged);
    const container = await withUnrecordedStart(context, stored, task);
    const { state } = container;
    if (state.status === 'running' || state.status === 'paused') {
      if (task !== undefined) {
        if (container !== stored) {
          store.put({ ...container, endpoints: networks.endpointsOf(id) });
          context.tell(container, 'start');
        }
        lives.of(id).task = task;
        alive.add(id);
        continue;
      }
      const exit = await readExit(context.taskDirectory(id));
      const { endpoints: _gone, health: _over, ...rest } = container;
      const end = { startedAt: state.startedAt, ...exit };
      // Started again below, as it would have been by an engine that saw it end.
      const again = restartDelayMs(container, end) !== undefined;
      const ended: Container = { ...rest, state: { status: again ? 'restarting' : 'exited', ...end } };
      store.settle(ended);
      if (exit.oomKilled) context.tell(ended, 'oom');
      context.tell(ended, 'die', { exitCode: String(exit.exitCode) });
    }
    await runtime.cleanup(id, context.taskDirectory(id)).catch(damaged);
    await releaseSharedMemory(context, container);
  }
  await networks.open(alive);
  volumes.open(alive, new Set(store.all().map((container) => container.id)));
  await clearMountPlaces(mountPlaces(context));
  await sweepOrphanedExecs(context);
  for (const id of alive) {
    const { task } = lives.of(id);
    if (task === undefined) continue;
    watchTask(context, id, task);
    context.forwarding.follow(store.find(id), lives.of(id).exited.promise);
    watchHealth(context, store.find(id), task);
    await serveNames(context, store.find(id), task.pid);
  }
  const known = new Set(store.all().map((container) => container.id));
  for await (const diff of driver.diffs())
    if (!known.has(ownerOfDiff(diff) ?? '') && ownerOfDiff(diff) !== undefined) await driver.removeDiff(diff);
  await removeStrayFiles(context, known);
  for (const container of store.all()) {
    if (alive.has(container.id)) continue;
    context.forwarding.follow(container, Promise.resolve());
    if (container.options.autoRemove && container.state.status === 'exited')
      await removeContainer(context, container.id, { volumes: true });
    else if (startsWithDaemon(container)) restartNow(context, container);
  }
}

/**
 * A container whose process exec'd just before its engine died, which could not record it any more, runs: it is not killed, and
 * does not run a second time. Its shim knows, or the exit that it left, which is later than the last that was recorded.
 */
async function withUnrecordedStart(context: Context, container: Container, task: Task | undefined): Promise<Container> {
  const { state } = container;
  if (state.status === 'running' || state.status === 'paused') return container;
  const directory = context.taskDirectory(container.id);
  const exit = task?.isRunning || !existsSync(`${directory}/exit.json`) ? undefined : await readExit(directory);
  const recorded = 'finishedAt' in state ? Date.parse(state.finishedAt) : 0;
  if (!task?.isRunning && (exit === undefined || Date.parse(exit.finishedAt) <= recorded)) return container;
  const made = await stat(`${directory}/task.json`).catch(() => undefined);
  const startedAt = made?.mtime.toISOString() ?? exit?.finishedAt ?? new Date().toISOString();
  const { stoppedByUser: _cleared, ...rest } = container;
  return { ...rest, state: { status: 'running', pid: task?.pid ?? 0, startedAt } };
}

/** Directories of containers that were removed, by an engine that died before their files were. */
async function removeStrayFiles({ options, taskDirectory, home }: Context, known: ReadonlySet<string>): Promise<void> {
  const stray = new Set<string>();
  for (const folder of [`${options.dataRoot}/containers`, `${options.execRoot}/tasks`])
    for (const name of existsSync(folder) ? await readdir(folder) : [])
      if (/^[0-9a-f]{64}$/.test(name) && !known.has(name)) stray.add(name);
  for (const id of stray)
    for (const directory of [taskDirectory(id), home(id)]) await rm(directory, { recursive: true, force: true });
}

function restartNow(context: Context, container: Container): void {
  const { state } = container;
  if (state.status !== 'exited' && state.status !== 'restarting') return;
  context.store.settle({ ...container, state: { ...state, status: 'restarting' } });
  scheduleRestart(context, container.id, 0);
}

/** The exit a shim recorded; 137 where it was killed before it could. */
async function readExit(directory: string) {
  const text = await readFile(`${directory}/exit.json`, 'utf8').catch(() => undefined);
  // Empty where the host went down before it was on the disk.
  if (text === undefined || text === '')
    return {
      exitCode: 137,
      oomKilled: false,
      finishedAt: new Date().toISOString(),
      error: 'the shim is gone and left no exit status',
    };
  const { code, oom, at } = JSON.parse(text) as { code: number; oom: boolean; at: string };
  return { exitCode: code, oomKilled: oom, finishedAt: at };
}
