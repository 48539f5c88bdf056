import { constants, renameSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { constants as osConstants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { GantryError } from '#errors/index.ts';
import type { RuntimeSpec } from '#oci/index.ts';
import { stateOf } from '../hook-steps.ts';
import { launchError, parseLaunchFailure } from '../launch-error.ts';
import { runPoststartHooks } from '../run-hooks.ts';
import { isAlive, signalContainer, statusOf } from './container-process.ts';
import { type ContainerState, directoryOf, fifoOf, readOwnConfig, readState } from './container-state.ts';
import type { Command } from './context.ts';

/** A process that waits on a fifo. */
export interface WaitingProcess {
  readonly pid: number;
  readonly startTime: string;
}

/** A process may open its end, exec and be gone before we hear that our own open is done; so long we wait to hear it. */
const HEARING = 200;

/** Opening blocks until the process opens its end; if that dies first, we take its part. */
async function openBothEnds(fifo: string, waiting: WaitingProcess): Promise<FileHandle> {
  let opened = false;
  const opening = open(fifo, 'r').finally(() => {
    opened = true;
  });
  for (let pause = 1; !opened; pause = Math.min(pause * 2, 20)) {
    await Promise.race([opening, delay(pause)]);
    if (!opened && !isAlive(waiting)) {
      await Promise.race([opening, delay(HEARING)]);
      if (opened) break;
      const other = await open(fifo, constants.O_RDWR);
      await (await opening).close();
      await other.close();
      throw new GantryError('conflict', `process ${waiting.pid} ended before it was started`, { code: 'not-running' });
    }
  }
  return await opening;
}

/** Lets a process exec that waits on a fifo, and removes the fifo. @throws GantryError of what made exec fail */
export async function release(fifo: string, waiting: WaitingProcess): Promise<void> {
  const reader = await openBothEnds(fifo, waiting);
  try {
    const packet = await reader.readFile();
    if (packet.length > 0) throw launchError(parseLaunchFailure(packet));
  } finally {
    await reader.close();
    rmSync(fifo, { force: true });
  }
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
  await release(taken, state);
  await afterStart(state, readOwnConfig(directoryOf(root, state.id)));
}

/** The hooks of a container that runs; where one fails it is stopped. @throws GantryError code `hook-failed` */
export async function afterStart(state: ContainerState, spec: RuntimeSpec): Promise<void> {
  try {
    await runPoststartHooks(spec, stateOf(spec, state, 'running', state.pid));
  } catch (error) {
    if (isAlive(state)) signalContainer(state, osConstants.signals.SIGKILL);
    throw error;
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
