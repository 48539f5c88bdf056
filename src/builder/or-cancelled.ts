import { GantryError, throwIfAborted } from '#errors/index.ts';

/** Waits for what others do, and no longer than until the signal fires. @throws GantryError cancelled */
export async function orCancelled<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  throwIfAborted(signal);
  const gone = Promise.withResolvers<never>();
  const stop = () => gone.reject(new GantryError('cancelled', 'the build was cancelled'));
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, gone.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
