import type { ExitStatus, Task } from '#runtime/index.ts';
import { tellEndpoints } from './container-network.ts';
import type { Context } from './context.ts';
import type { Container, ContainerState } from './engine.ts';
import { removeContainer } from './remove-container.ts';
import { restartDelayMs } from './restart-policy.ts';
import { releaseSharedMemory } from './shared-memory.ts';
import { startContainer } from './start-container.ts';
import { tellVolumes } from './volume-events.ts';

/** Follows a task to its end; then the container is released, and removed or started again as it was asked for. */
export function watchTask(context: Context, id: string, task: Task): void {
  task
    .wait()
    .then((status) => onExit(context, id, task, status))
    .catch((error: unknown) => context.options.onError(error, `the exit of container ${id}`));
}

async function onExit(context: Context, id: string, task: Task, status: ExitStatus): Promise<void> {
  const { lives, networks, store } = context;
  await lives.exclusive(id, async () => {
    const live = lives.of(id);
    if (live.task !== task) return; // its start failed, and was undone there
    live.healthMonitor?.[Symbol.dispose]();
    // A disk that takes nothing keeps the address until the container is removed, and nobody from hearing of the exit.
    await networks.release(id).catch((error: unknown) => context.options.onError(error, `releasing ${id}`));
    context.volumes.unmount(id);
    await releaseSharedMemory(context, store.find(id));
    const was = store.find(id);
    const { endpoints: _released, health: _over, ...container } = was;
    const startedAt = 'startedAt' in container.state ? container.state.startedAt : undefined;
    const end = {
      exitCode: status.code,
      ...(startedAt === undefined ? {} : { startedAt }),
      finishedAt: status.at.toISOString(),
      oomKilled: status.oom,
    };
    const delay = restartDelayMs(container, end);
    const state: ContainerState = { status: delay === undefined ? 'exited' : 'restarting', ...end };
    const ended: Container = { ...container, state };
    store.settle(ended);
    await task.delete();
    live.task = undefined;
    if (status.oom) context.tell(ended, 'oom');
    context.tell(ended, 'die', { exitCode: String(status.code) });
    tellEndpoints(context, was, 'disconnect');
    tellVolumes(context, was, 'unmount');
    if (delay !== undefined) scheduleRestart(context, id, delay);
    const settled = live.exited;
    live.exited = Promise.withResolvers();
    settled.resolve({ exitCode: status.code });
  });
  if (store.get(id)?.options.autoRemove) await removeContainer(context, id, { volumes: true });
}

/** Starts a `restarting` container again after a while, unless somebody stops it before. */
export function scheduleRestart(context: Context, id: string, delayMs: number): void {
  const { lives, store, options } = context;
  const live = lives.of(id);
  const cancel = () => {
    clearTimeout(timer);
    live.restart = undefined;
  };
  const timer = setTimeout(() => {
    live.restart = undefined;
    const container = store.get(id);
    if (container?.state.status !== 'restarting') return;
    store.settle({ ...container, restartCount: container.restartCount + 1 });
    startContainer(context, id, { byPolicy: true }).catch((error: unknown) =>
      options.onError(error, `restarting container ${id}`),
    );
  }, delayMs);
  live.restart = { timer, cancel };
}
