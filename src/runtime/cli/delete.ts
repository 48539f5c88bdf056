import { constants } from 'node:os';
import { GantryError } from '#errors/index.ts';
import { openCgroups } from '#linux/index.ts';
import { stateOf } from '../hook-steps.ts';
import { runPoststopHooks } from '../run-hooks.ts';
import { isAlive, signalContainer, statusOf, waitForEnd } from './container-process.ts';
import { type ContainerState, directoryOf, readOwnConfig, readState, removeStateDirectory } from './container-state.ts';
import type { Command } from './context.ts';
import { removeRdtGroups } from './intel-rdt.ts';

/** Ends what is left of a container and removes its cgroup and state. */
export async function destroyContainer(root: string, state: ContainerState): Promise<void> {
  const cgroup = openCgroups().at(state.cgroup);
  const spec = readOwnConfig(directoryOf(root, state.id));
  // Without a cgroup there is its first process to end, and with it all of its pid namespace.
  if (isAlive(state)) {
    signalContainer(state, constants.signals.SIGKILL);
    await waitForEnd(state);
  }
  await cgroup.kill();
  await cgroup.remove();
  if (state.rdt !== undefined) removeRdtGroups(state.rdt);
  removeStateDirectory(root, state.id);
  await runPoststopHooks(spec, stateOf(spec, state, 'stopped', 0));
}

/** runtime-spec: runtime.md#delete. A container without a pid namespace of its own may leave processes; they end too. */
export const deleteCommand: Command = {
  options: { force: { kind: 'flag', short: 'f' } },
  words: [1, 1],
  usage: 'delete [--force] ID',
  about: 'remove a stopped container; with --force, kill it first',
  async run({ root, id, options }) {
    let state: ContainerState;
    try {
      state = readState(root, id);
    } catch (error) {
      if (!options.flag('force') || !(error instanceof GantryError && error.kind === 'not-found')) throw error;
      removeStateDirectory(root, id);
      return 0;
    }
    const status = statusOf(root, state);
    if (status !== 'stopped' && !options.flag('force'))
      throw new GantryError('conflict', `container ${id} is ${status}; stop it first, or use delete --force`, {
        code: 'not-stopped',
      });
    await destroyContainer(root, state);
    return 0;
  },
};
