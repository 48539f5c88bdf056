import type { BuildEvent } from './builder.ts';

/** What one stage says. */
export interface StageOutput {
  text(text: string): void;
  event(event: BuildEvent): void;
}

/** A stage that waits for its turn keeps at most this much. */
const most = 1024 * 1024;

/**
 * Stages run at once and yet read as if they ran one after the other: the first that is not done speaks, the others'
 * words wait for their turn. A stage that fails speaks at once.
 */
export function orderStages(stages: readonly number[], emit: (event: BuildEvent) => void) {
  const waiting = new Map(stages.map((index) => [index, { events: [] as BuildEvent[], size: 0, done: false }]));
  let silent = false;
  const order = [...stages];
  const flush = (index: number) => {
    const own = waiting.get(index);
    if (own === undefined) return;
    for (const event of own.events.splice(0)) emit(event);
    own.size = 0;
  };
  return {
    stage(index: number): StageOutput {
      const event = (one: BuildEvent) => {
        const own = waiting.get(index);
        if (silent || own === undefined) return;
        if (order[0] === index) return emit(one);
        const size = 'stream' in one ? one.stream.length : 100;
        if (own.size <= most && own.size + size > most)
          own.events.push({ stream: '[… the rest of what it said while another stage was shown is left out]\n' });
        own.size += size;
        if (own.size <= most) own.events.push(one);
      };
      return { event, text: (text) => event({ stream: text }) };
    },
    /** The stage is done; the next one may speak. */
    finish(index: number) {
      const own = waiting.get(index);
      if (own !== undefined) own.done = true;
      while (order[0] !== undefined && waiting.get(order[0])?.done === true) {
        flush(order[0]);
        order.shift();
        if (order[0] !== undefined) flush(order[0]);
      }
    },
    /** The stage failed: it is heard, and nobody after it. */
    fail(index: number) {
      if (silent) return;
      flush(index);
      silent = true;
    },
  };
}
