import { GantryError, throwIfAborted } from '#errors/index.ts';

/** Settles with `promise`, or rejects as soon as the signal fires. @throws GantryError cancelled */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  throwIfAborted(signal);
  if (signal === undefined) return await promise;
  const aborted = Promise.withResolvers<never>();
  const onAbort = () =>
    aborted.reject(new GantryError('cancelled', 'the operation was cancelled', { cause: signal.reason }));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** At most `places` holders at once, served in the order they came; what `enter` gives is called to leave. */
export function createTurns(places: number) {
  let free = places;
  const waiting: (() => void)[] = [];
  const leave = () => {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  };
  return {
    idle: (): boolean => free === places && waiting.length === 0,
    /** @throws GantryError cancelled while it waits */
    async enter(signal?: AbortSignal): Promise<() => void> {
      throwIfAborted(signal);
      if (free > 0) free--;
      else {
        const turn = Promise.withResolvers<void>();
        waiting.push(turn.resolve);
        try {
          await orAborted(turn.promise, signal);
        } catch (error) {
          const place = waiting.indexOf(turn.resolve);
          if (place >= 0) waiting.splice(place, 1);
          else leave();
          throw error;
        }
      }
      return leave;
    },
  };
}

/** One holder per key at a time. */
export function createKeyedTurns() {
  const keys = new Map<string, ReturnType<typeof createTurns>>();
  return async (key: string, signal?: AbortSignal): Promise<() => void> => {
    const turns = keys.get(key) ?? createTurns(1);
    keys.set(key, turns);
    const leave = await turns.enter(signal);
    return () => {
      leave();
      if (turns.idle() && keys.get(key) === turns) keys.delete(key);
    };
  };
}
