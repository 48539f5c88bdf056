import { GantryError } from '#errors/index.ts';
import type { Context } from './context.ts';
import type { Container, Containers, ContainerUpdate, ResourceOptions } from './engine.ts';
import { blockDevicesOf } from './host-devices.ts';
import { changePublished } from './published-ports.ts';
import { checkLimits } from './spec/check-limits.ts';
import { thisMachine } from './spec/machine.ts';
import { resourcesOf } from './spec/resources.ts';

/** @throws GantryError conflict for what cannot stand beside a limit that is set already, in Docker's words */
function checkAgainst(current: ResourceOptions, change: ResourceOptions): void {
  const conflict = (message: string) => new GantryError('conflict', `Conflicting options: ${message}`);
  if (current.nanoCpus !== undefined && change.cpuPeriod !== undefined)
    throw conflict('CPU Period cannot be updated as NanoCPUs has already been set');
  if (current.nanoCpus !== undefined && change.cpuQuota !== undefined)
    throw conflict('CPU Quota cannot be updated as NanoCPUs has already been set');
  if (change.nanoCpus !== undefined && current.cpuPeriod !== undefined)
    throw conflict('NanoCPUs cannot be updated as CPU Period has already been set');
  if (change.nanoCpus !== undefined && current.cpuQuota !== undefined)
    throw conflict('NanoCPUs cannot be updated as CPU Quota has already been set');
  const swap = change.memorySwapBytes ?? current.memorySwapBytes ?? 0;
  if (change.memoryBytes !== undefined && change.memorySwapBytes === undefined && swap > 0 && change.memoryBytes > swap)
    throw new GantryError(
      'conflict',
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    );
}

/** What changes and the kernel can do; of limits that are written together, all, where one changes. */
function limitsToWrite(merged: ResourceOptions, change: ResourceOptions): ResourceOptions {
  const memory = change.memoryBytes !== undefined || change.memorySwapBytes !== undefined;
  const possible = Object.entries(change).filter(([name]) => Object.hasOwn(merged, name));
  return {
    ...(Object.fromEntries(possible) as ResourceOptions),
    ...(memory && merged.memoryBytes !== undefined ? { memoryBytes: merged.memoryBytes } : {}),
    ...(memory && merged.memorySwapBytes !== undefined ? { memorySwapBytes: merged.memorySwapBytes } : {}),
  };
}

/**
 * Changes a container's limits, policies and published ports. Limits of a running one reach its cgroup first; where the kernel refuses
 * one, the old ones are written again and nothing is recorded.
 */
export async function updateContainer(
  context: Context,
  nameOrId: string,
  { restartPolicy, onUnhealthy, publish, ...change }: ContainerUpdate,
): ReturnType<Containers['update']> {
  const { store, lives, tell } = context;
  const { id } = store.find(nameOrId);
  return await lives.exclusive(id, async () => {
    const container = store.find(id);
    const { options, state } = container;
    if (restartPolicy !== undefined && options.autoRemove && restartPolicy.name !== 'no')
      throw new GantryError(
        'conflict',
        'Restart policy cannot be updated because AutoRemove is enabled for the container',
      );
    checkAgainst(options, change);
    const { options: merged, warnings } = checkLimits({ ...options, ...change }, thisMachine().limits);
    if ((state.status === 'running' || state.status === 'paused') && Object.keys(change).length > 0)
      await writeLimits(context, container, limitsToWrite(merged, change));
    const ports = publish === undefined ? {} : await changePublished(context, container, publish);
    const updated: Container = {
      ...container,
      ...ports.container,
      options: {
        ...merged,
        ...ports.options,
        ...(restartPolicy === undefined ? {} : { restartPolicy }),
        ...(onUnhealthy === undefined ? {} : { onUnhealthy }),
      },
    };
    store.put(updated);
    tell(updated, 'update');
    return { warnings };
  });
}

async function writeLimits(context: Context, container: Container, limits: ResourceOptions): Promise<void> {
  const { task } = context.runningTask(container.id);
  const devices = await blockDevicesOf(limits);
  try {
    await task.update(resourcesOf(limits, devices));
  } catch (error) {
    await task.update(resourcesOf(container.options, await blockDevicesOf(container.options)));
    throw error;
  }
}
