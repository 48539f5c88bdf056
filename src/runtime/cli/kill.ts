import { GantryError } from '#errors/index.ts';
import { openCgroups } from '#linux/index.ts';
import { signalContainer, statusOf } from './container-process.ts';
import { readState } from './container-state.ts';
import { type Command, signalNumber } from './context.ts';

/** runtime-spec: runtime.md#kill */
export const kill: Command = {
  options: { all: { kind: 'flag', short: 'a' } },
  words: [1, 2],
  usage: 'kill [--all] ID [SIGNAL]',
  about: 'send a signal, TERM by default',
  async run({ root, id, options, words }) {
    const signal = signalNumber(words[0] ?? 'TERM');
    const state = readState(root, id);
    if (options.flag('all')) {
      await openCgroups().at(state.cgroup).kill(signal);
      return 0;
    }
    const status = statusOf(root, state);
    if (status === 'stopped' || status === 'creating')
      throw new GantryError('conflict', `container not running: ${id} is ${status}`, { code: 'not-running' });
    signalContainer(state, signal);
    return 0;
  },
};
