import type { EngineEvent, Events } from './engine.ts';

const kept = 256;

/** The event bus: the last 256 events are replayed to a subscriber who asks with `since`. */
export function createEvents(): Events {
  const history: EngineEvent[] = [];
  const listeners = new Set<(event: EngineEvent) => void>();
  return {
    publish(event) {
      const stamped: EngineEvent = { ...event, time: new Date() };
      history.push(stamped);
      if (history.length > kept) history.shift();
      for (const listener of listeners) listener(stamped);
    },
    async *subscribe({ since, signal } = {}) {
      const queue: EngineEvent[] = since === undefined ? [] : history.filter((event) => event.time >= since);
      let wake = Promise.withResolvers<void>();
      const listener = (event: EngineEvent) => {
        queue.push(event);
        wake.resolve();
      };
      const stop = () => wake.resolve();
      listeners.add(listener);
      signal?.addEventListener('abort', stop, { once: true });
      try {
        for (;;) {
          for (let event = queue.shift(); event !== undefined; event = queue.shift()) yield event;
          if (signal?.aborted) return;
          await wake.promise;
          wake = Promise.withResolvers<void>();
        }
      } finally {
        listeners.delete(listener);
        signal?.removeEventListener('abort', stop);
      }
    },
  };
}
