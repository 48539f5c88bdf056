import type { Span } from './engine.ts';

export interface Spans {
  readonly list: Span[];
  /** Records how long a step took and what it made, also where it throws. */
  measure<T>(name: string, made: readonly string[], work: () => Promise<T>): Promise<T>;
}

/** The steps of one start, timed from now. */
export function createSpans(): Spans {
  const zero = performance.now();
  const list: Span[] = [];
  return {
    list,
    async measure(name, made, work) {
      const began = performance.now();
      try {
        return await work();
      } finally {
        list.push({ name, startMs: began - zero, durationMs: performance.now() - began, made });
      }
    },
  };
}
