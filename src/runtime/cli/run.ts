import { constants } from 'node:os';
import { signalContainer, waitForEnd } from './container-process.ts';
import type { ContainerState } from './container-state.ts';
import type { Command, Context } from './context.ts';
import { create, createContainer, createOptions } from './create.ts';
import { destroyContainer } from './delete.ts';
import { afterStart, startContainer } from './start.ts';

const forwarded = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const;

/** Passes signals on to a container, those too that come before it is there. */
class SignalForwarder {
  readonly #early: NodeJS.Signals[] = [];
  #state: ContainerState | undefined;
  readonly #forward = (signal: NodeJS.Signals) => {
    if (this.#state === undefined) this.#early.push(signal);
    else this.#send(this.#state, signal);
  };

  constructor() {
    for (const signal of forwarded) process.on(signal, this.#forward);
  }

  to(state: ContainerState): void {
    this.#state = state;
    for (const signal of this.#early.splice(0)) this.#send(state, signal);
  }

  stop(): void {
    for (const signal of forwarded) process.off(signal, this.#forward);
  }

  #send(state: ContainerState, signal: NodeJS.Signals): void {
    try {
      signalContainer(state, constants.signals[signal]);
    } catch {
      // It has ended, and whoever waits for that is about to hear of it.
    }
  }
}

async function runDetached(context: Context): Promise<number> {
  const { state } = await createContainer(context, { foreground: false });
  try {
    await startContainer(context.root, state);
  } catch (error) {
    await destroyContainer(context.root, state);
    throw error;
  }
  return 0;
}

async function runInForeground(context: Context): Promise<number> {
  const signals = new SignalForwarder();
  try {
    const { state, process: launched } = await createContainer(context, { foreground: true });
    signals.to(state);
    await afterStart(context.root, state);
    const code = await launched.exited;
    await waitForEnd(state);
    if (!context.options.flag('keep')) await destroyContainer(context.root, state);
    return code;
  } finally {
    signals.stop();
  }
}

export const run: Command = {
  options: { ...createOptions, detach: { kind: 'flag', short: 'd' }, keep: { kind: 'flag' } },
  words: create.words,
  usage: 'run [--detach] [--keep] [options of create] ID',
  about: "make and start a container; its exit code is its process's",
  run: (context) => (context.options.flag('detach') ? runDetached(context) : runInForeground(context)),
};
