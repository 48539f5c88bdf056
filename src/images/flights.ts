import { GantryError, throwIfAborted } from '#errors/index.ts';

interface Flight<Event> {
  readonly task: Promise<void>;
  readonly controller: AbortController;
  readonly listeners: Set<(event: Event) => void>;
  latest: Event | undefined;
}

/** What a join gives: `task` settles with the work itself, `done` with this participant's share of it. */
export interface Joined {
  readonly task: Promise<void>;
  readonly done: Promise<void>;
}

/**
 * Work that several callers may want at once and that is done once. Everyone hears its events; it is aborted when the
 * last one has left, and the last one waits until it has cleaned up.
 */
export function createFlights<Event>() {
  const flights = new Map<string, Flight<Event>>();

  const begin = (key: string, work: (emit: (event: Event) => void, signal: AbortSignal) => Promise<void>) => {
    const controller = new AbortController();
    const listeners = new Set<(event: Event) => void>();
    const emit = (event: Event) => {
      flight.latest = event;
      for (const listener of listeners) listener(event);
    };
    const task = Promise.resolve()
      .then(() => work(emit, controller.signal))
      .finally(() => {
        if (flights.get(key) === flight) flights.delete(key);
      });
    task.catch(() => {}); // participants observe it
    const flight: Flight<Event> = { task, controller, listeners, latest: undefined };
    flights.set(key, flight);
    return flight;
  };

  return function join(
    key: string,
    work: (emit: (event: Event) => void, signal: AbortSignal) => Promise<void>,
    listener: (event: Event) => void,
    signal?: AbortSignal,
  ): Joined {
    throwIfAborted(signal);
    const flight = flights.get(key) ?? begin(key, work);
    if (flight.latest !== undefined) listener(flight.latest);
    flight.listeners.add(listener);
    const left = Promise.withResolvers<never>();
    let gone = false;
    const leave = () => {
      gone = true;
      flight.listeners.delete(listener);
      const cancelled = new GantryError('cancelled', 'the operation was cancelled', { cause: signal?.reason });
      if (flight.listeners.size > 0) {
        left.reject(cancelled);
        return;
      }
      if (flights.get(key) === flight) flights.delete(key);
      flight.controller.abort(signal?.reason);
      flight.task.then(
        () => left.reject(cancelled),
        () => left.reject(cancelled),
      );
    };
    signal?.addEventListener('abort', leave, { once: true });
    // Who has left is told so, however the work ends.
    const ended = flight.task.finally(() => (gone ? left.promise : undefined));
    const share = Promise.race([ended, left.promise]).finally(() => {
      signal?.removeEventListener('abort', leave);
      flight.listeners.delete(listener);
    });
    left.promise.catch(() => {});
    share.catch(() => {});
    return { task: flight.task, done: share };
  };
}
