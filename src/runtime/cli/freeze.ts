import { GantryError } from '#errors/index.ts';
import { type Cgroup, openCgroups } from '#linux/index.ts';
import { statusOf } from './container-process.ts';
import { readState, type Status } from './container-state.ts';
import type { Command, Context } from './context.ts';

/** The cgroup of a container whose status is one of these. @throws GantryError conflict */
export function cgroupOf({ root, id }: Context, ...wanted: readonly Status[]): Cgroup {
  const state = readState(root, id);
  const status = statusOf(root, state);
  if (!wanted.includes(status))
    throw new GantryError(
      'conflict',
      status === 'stopped'
        ? `container not running: ${id} is stopped`
        : `container ${id} is ${status}, not ${wanted.join(' or ')}`,
    );
  if (state.cgroup.length === 0)
    throw new GantryError('unsupported', `container ${id} has no cgroup: user ${state.owner} could make none`);
  return openCgroups().at(state.cgroup);
}

export const pause: Command = {
  options: {},
  words: [1, 1],
  usage: 'pause ID',
  about: 'stop all processes of a container where they are',
  async run(context) {
    await cgroupOf(context, 'running', 'created').freeze();
    return 0;
  },
};

export const resume: Command = {
  options: {},
  words: [1, 1],
  usage: 'resume ID',
  about: 'let a paused container go on',
  async run(context) {
    await cgroupOf(context, 'paused').thaw();
    return 0;
  },
};
