import { constants } from 'node:os';
import { signalContainer, waitForEnd } from './container-process.ts';
import type { Command } from './context.ts';
import { create, createContainer, createOptions } from './create.ts';
import { destroyContainer } from './delete.ts';
import { startContainer } from './start.ts';

const forwarded = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const;

export const run: Command = {
  options: { ...createOptions, detach: { kind: 'flag', short: 'd' }, keep: { kind: 'flag' } },
  words: create.words,
  usage: 'run [--detach] [--keep] [options of create] ID',
  about: "make and start a container; its exit code is its process's",
  async run(context) {
    const detach = context.options.flag('detach');
    const { state, process: launched } = await createContainer(context, { foreground: !detach });
    if (detach) {
      try {
        await startContainer(context.root, state);
      } catch (error) {
        await destroyContainer(context.root, state);
        throw error;
      }
      return 0;
    }
    const forward = (signal: NodeJS.Signals) => {
      try {
        signalContainer(state, constants.signals[signal]);
      } catch {
        // It has ended; `exited` is about to say so.
      }
    };
    for (const signal of forwarded) process.on(signal, forward);
    const code = await launched.exited;
    for (const signal of forwarded) process.off(signal, forward);
    await waitForEnd(state);
    if (!context.options.flag('keep')) await destroyContainer(context.root, state);
    return code;
  },
};
