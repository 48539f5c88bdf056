import { rmSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { GantryError } from '#errors/index.ts';
import { releaseMounts } from './container-mounts.ts';
import type { Context } from './context.ts';
import { killIfAlive } from './stop-container.ts';

/** Removes a container and all that is its own. @throws GantryError conflict (code `running`) where it runs and not `force` */
export async function removeContainer(
  context: Context,
  nameOrId: string,
  { force = false, volumes: andVolumes = false }: { force?: boolean; volumes?: boolean } = {},
): Promise<void> {
  const { driver, lives, networks, store } = context;
  const found = store.find(nameOrId);
  const { id } = found;
  const { status } = found.state;
  if (status === 'running' || status === 'paused' || status === 'restarting') {
    if (!force)
      throw new GantryError(
        'conflict',
        `cannot remove container "${found.name}": container is ${status}: stop the container before removing or force remove`,
        { code: 'running' },
      );
  }
  if (status === 'running' || status === 'paused') {
    store.settle({ ...found, stoppedByUser: true });
    const gone = lives.of(id).exited.promise;
    context.tell(found, 'kill', { signal: '9' });
    await killIfAlive(lives.of(id).task);
    await gone;
  }
  const removed = await lives.exclusive(id, async () => {
    const container = store.get(id);
    if (container === undefined) return true; // auto-removed meanwhile
    const live = lives.of(id);
    if (live.task !== undefined) return false; // started meanwhile
    await context.forwarding.finish(id);
    live.restart?.cancel();
    for (const pending of live.pending.splice(0)) pending.bind(undefined);
    const removeFiles = await driver.hideDiff(id);
    const forget = async () => {
      await networks.release(id);
      await releaseMounts(context, id, container.mounts, andVolumes);
      store.delete(id);
    };
    await forget().catch(async (error: unknown) => {
      if (!isFull(error)) throw error;
      // The database can write only once there is room: the files go first, and with them the reason.
      await removeFiles();
      rmSync(context.home(id), { recursive: true, force: true });
      await forget();
    });
    context.tell(container, 'destroy');
    live.removed.resolve({ exitCode: container.state.status === 'exited' ? container.state.exitCode : 0 });
    lives.drop(id);
    // Whoever waits for the removal is told before the files go; an engine that dies here removes them when it starts.
    await setImmediate();
    await removeFiles();
    rmSync(context.taskDirectory(id), { recursive: true, force: true });
    rmSync(context.home(id), { recursive: true, force: true });
    return true;
  });
  if (!removed) await removeContainer(context, id, { force, volumes: andVolumes });
}

/** SQLITE_FULL (sqlite.org/rescode.html). */
const isFull = (error: unknown): boolean =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' && (error.errcode & 0xff) === 13;
