import { type ContainerState, directoryOf, filesOf } from './container-state.ts';
import type { Command, Context } from './context.ts';
import { type Created, create, createContainer, createOptions, removalOf } from './create.ts';
import { destroyContainer } from './delete.ts';
import { requireLauncher } from './launcher.ts';
import { afterStart, startContainer } from './start.ts';

/** Where what comes after the start fails, there is no container. */
export async function destroyAfter(root: string, state: ContainerState, start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (error) {
    await destroyContainer(root, state);
    throw error;
  }
}

async function runDetached(context: Context): Promise<void> {
  const { state } = await createContainer(context, { foreground: false });
  await destroyAfter(context.root, state, () => startContainer(context.root, state));
}

/**
 * The launcher sees the process through and removes the container; where that takes more than removing what is empty by
 * then (poststop hooks, cgroups made inside), `delete` does it.
 */
export function handOverContainer(context: Context, { state, spec }: Created): void {
  const remove = removalOf(context);
  const remains = [...state.cgroup, ...(state.rdt?.made ?? []), ...filesOf(directoryOf(context.root, context.id))];
  requireLauncher().handOver((spec.hooks?.poststop ?? []).length > 0 ? [] : remains, remove);
}

async function runInForeground(context: Context): Promise<void> {
  const launcher = requireLauncher();
  const { state, spec } = await createContainer(context, { foreground: true });
  await destroyAfter(context.root, state, () => afterStart(state, spec));
  if (context.options.flag('keep')) launcher.handOver([], []);
  else handOverContainer(context, { state, spec });
}

export const run: Command = {
  options: { ...createOptions, detach: { kind: 'flag', short: 'd' }, keep: { kind: 'flag' } },
  words: create.words,
  usage: 'run [--detach] [--keep] [options of create] ID',
  about: "make and start a container; its exit code is its process's",
  async run(context) {
    if (context.options.flag('detach')) await runDetached(context);
    else await runInForeground(context);
    return 0;
  },
};
