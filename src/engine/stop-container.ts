import { GantryError, isGantryError } from '#errors/index.ts';
import type { Task } from '#runtime/index.ts';
import type { Context } from './context.ts';
import { signalNumber } from './signals.ts';

const ifGone = (error: unknown) => {
  if (!isGantryError(error, 'conflict') && !isGantryError(error, 'not-found')) throw error;
};

/** SIGKILL to all of a task's processes; one that is gone is fine. */
export async function killIfAlive(task: Task | undefined): Promise<void> {
  await task?.kill(9, { all: true }).catch(ifGone);
}

/** The container's stop signal, then SIGKILL after its timeout. False where it does not run. Its restart policy rests. */
export async function stopContainer(
  context: Context,
  nameOrId: string,
  options: { timeoutSeconds?: number; signal?: string; byUser?: boolean } = {},
): Promise<boolean> {
  const { lives, store } = context;
  const found = store.find(nameOrId);
  const live = lives.of(found.id);
  const number = signalNumber(options.signal ?? found.resolved.stopSignal);
  if (found.state.status === 'restarting')
    return (await endRestarts(context, found.id)) || (await stopContainer(context, found.id, options));
  const { task } = live;
  if (task === undefined || (found.state.status !== 'running' && found.state.status !== 'paused')) return false;
  if (options.byUser !== false) store.settle({ ...found, stoppedByUser: true });
  const gone = live.exited.promise;
  if (found.state.status === 'paused') await unpauseContainer(context, found.id);
  const seconds = options.timeoutSeconds ?? found.options.stopTimeoutSeconds ?? 10;
  await task.kill(number).catch(ifGone);
  context.tell(found, 'kill', { signal: String(number) });
  const late = Promise.withResolvers<'late'>();
  const timeout = seconds < 0 ? undefined : setTimeout(() => late.resolve('late'), seconds * 1000);
  const outcome = await Promise.race([gone, late.promise]);
  clearTimeout(timeout);
  if (outcome === 'late') {
    await task.kill(9).catch(ifGone);
    context.tell(found, 'kill', { signal: '9' });
    await gone;
  }
  // It ended by itself at the same moment, and its policy took it for that.
  if (options.byUser !== false && store.all().find(({ id }) => id === found.id)?.state.status === 'restarting')
    return await stopContainer(context, found.id, options);
  context.tell(found, 'stop');
  return true;
}

/** False where it runs again, or was removed, before it could be told. */
async function endRestarts({ lives, store, tell }: Context, id: string): Promise<boolean> {
  return await lives.exclusive(id, async () => {
    const container = store.find(id);
    if (container.state.status !== 'restarting') return false;
    const live = lives.of(id);
    live.restart?.cancel();
    store.settle({ ...container, stoppedByUser: true, state: { ...container.state, status: 'exited' } });
    live.exited.resolve({ exitCode: container.state.exitCode });
    live.exited = Promise.withResolvers();
    tell(container, 'stop');
    return true;
  });
}

/** How long a SIGKILL is waited for: a process in a system call that does not end outlives it. */
const killPatienceMs = 10_000;

/**
 * Any signal to the first process. What SIGKILL ended has ended when this returns, so that it can be removed, as with Docker.
 * @throws GantryError conflict (code `not-running`), invalid signal
 */
export async function killContainer(context: Context, nameOrId: string, signal = 'KILL'): Promise<void> {
  const number = signalNumber(signal);
  const { container, task } = context.runningTask(nameOrId);
  const ends = number === 9 || number === signalNumber(container.resolved.stopSignal);
  if (ends) context.store.settle({ ...container, stoppedByUser: true });
  const gone = context.lives.of(container.id).exited.promise;
  await task.kill(number);
  context.tell(container, 'kill', { signal: String(number) });
  if (number !== 9) return;
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, killPatienceMs);
  await Promise.race([gone, late.promise]);
  clearTimeout(timer);
}

export async function pauseContainer(context: Context, nameOrId: string): Promise<void> {
  const { id } = context.store.find(nameOrId);
  await context.lives.exclusive(id, async () => {
    const { container, task } = context.runningTask(id);
    if (container.state.status !== 'running')
      throw new GantryError('conflict', `container ${container.name} is already paused`);
    await task.pause();
    context.store.put({ ...container, state: { ...container.state, status: 'paused' } });
    context.tell(container, 'pause');
  });
}

export async function unpauseContainer(context: Context, nameOrId: string): Promise<void> {
  const { id } = context.store.find(nameOrId);
  await context.lives.exclusive(id, async () => {
    const { container, task } = context.runningTask(id);
    if (container.state.status !== 'paused')
      throw new GantryError('conflict', `container ${container.name} is not paused`);
    await task.resume();
    context.store.settle({ ...container, state: { ...container.state, status: 'running' } });
    context.tell(container, 'unpause');
  });
}
