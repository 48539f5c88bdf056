import { GantryError } from '#errors/index.ts';
import type { Context } from './context.ts';
import type { Containers } from './engine.ts';
import type { Ended } from './lives.ts';

/** Resolves with the exit code once the condition holds; a container between two restarts still counts as running. */
export async function waitContainer(
  context: Context,
  nameOrId: string,
  condition: Parameters<Containers['wait']>[1],
  { signal }: { signal?: AbortSignal } = {},
): Promise<Ended> {
  const { lives, store } = context;
  const { id } = store.find(nameOrId);
  const live = lives.of(id);
  const cancelled = Promise.withResolvers<never>();
  const cancel = () => cancelled.reject(new GantryError('cancelled', 'the wait was cancelled'));
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    if (condition === 'removed') return await Promise.race([live.removed.promise, cancelled.promise]);
    if (condition === 'next-exit') return await Promise.race([live.exited.promise, cancelled.promise]);
    for (;;) {
      const state = store.get(id)?.state;
      if (state === undefined || state.status === 'created') return { exitCode: 0 };
      if (state.status === 'exited')
        return { exitCode: state.exitCode, ...(state.error === undefined ? {} : { error: state.error }) };
      const ended = await Promise.race([live.exited.promise, cancelled.promise]);
      if (store.get(id) === undefined) return ended;
    }
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
