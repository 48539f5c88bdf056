import { constants, renameSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { GantryError } from '#errors/index.ts';
import { launchError, parseLaunchFailure } from '../launch-error.ts';
import { isAlive, statusOf } from './container-process.ts';
import { type ContainerState, directoryOf, fifoOf, readState } from './container-state.ts';
import type { Command } from './context.ts';

/** Opening blocks until the process opens its end; if that dies first, we take its part. */
async function openBothEnds(fifo: string, state: ContainerState): Promise<FileHandle> {
  let opened = false;
  const opening = open(fifo, 'r').finally(() => {
    opened = true;
  });
  for (let pause = 1; !opened; pause = Math.min(pause * 2, 20)) {
    await Promise.race([opening, delay(pause)]);
    if (!opened && !isAlive(state)) {
      const other = await open(fifo, constants.O_RDWR);
      await (await opening).close();
      await other.close();
      throw new GantryError('conflict', `the process of container ${state.id} ended before it was started`, {
        code: 'not-running',
      });
    }
  }
  return await opening;
}

/**
 * Lets a created container's process exec. Only one caller can: taking the fifo's name is what decides.
 * @throws GantryError conflict where it is not `created`, or what made exec fail
 */
export async function startContainer(root: string, state: ContainerState): Promise<void> {
  const status = statusOf(root, state);
  if (status !== 'created')
    throw new GantryError('conflict', `container ${state.id} cannot be started: it is ${status}, not created`, {
      code: 'not-created',
    });
  const taken = `${directoryOf(root, state.id)}/started.fifo`;
  try {
    renameSync(fifoOf(directoryOf(root, state.id)), taken);
  } catch (cause) {
    throw new GantryError('conflict', `container ${state.id} is being started by another call`, { cause });
  }
  const fifo = await openBothEnds(taken, state);
  try {
    const packet = await fifo.readFile();
    if (packet.length > 0) throw launchError(parseLaunchFailure(packet));
  } finally {
    await fifo.close();
    rmSync(taken, { force: true });
  }
}

export const start: Command = {
  options: {},
  words: [1, 1],
  usage: 'start ID',
  about: "let a created container's process run",
  async run({ root, id }) {
    await startContainer(root, readState(root, id));
    return 0;
  },
};
