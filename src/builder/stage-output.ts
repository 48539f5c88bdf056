import type { BuildEvent, StepEvent } from './builder.ts';

/** What one stage says: text as classic docker prints it, in turn with other stages, and facts of steps, at once. */
export interface StageOutput {
  text(text: string): void;
  event(event: BuildEvent): void;
  /** A step begins; what follows is about it. Steps that only change the configuration have no name and are not told of. */
  begin(name: string | undefined): void;
  /** What the step's command prints. */
  log(text: string): void;
  /** The step is not run, since its result is known. */
  cached(): void;
  /** The step is run, and why no earlier result serves. */
  runs(why: string): void;
  end(): void;
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
  const running = new Map<number, (error: string) => void>();
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
      const { step, fail } = stepFacts(index, emit);
      running.set(index, fail);
      return {
        ...step,
        event(one) {
          event(one);
          if ('progress' in one) step.progress(one.progress);
        },
        text: (text) => event({ stream: text }),
        log(text) {
          event({ stream: text });
          step.log(text);
        },
        cached() {
          event({ stream: ' ---> Using cache\n' });
          step.cached();
        },
      };
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
    fail(index: number, error: string) {
      if (silent) return;
      flush(index);
      running.get(index)?.(error);
      silent = true;
    },
  };
}

/** Tells of one stage's steps as facts. */
function stepFacts(stage: number, emit: (event: BuildEvent) => void) {
  let count = 0;
  let current: { readonly id: string; cached: boolean; why: string | undefined } | undefined;
  const tell = (event: StepEvent) => emit({ step: event });
  const about = (work: (id: string) => StepEvent) => {
    if (current !== undefined) tell(work(current.id));
  };
  const end = () => {
    const ended = current;
    current = undefined;
    if (ended === undefined) return;
    const { id, cached, why } = ended;
    tell({ id, is: 'done', cached, ...(why === undefined ? {} : { why }) });
  };
  return {
    step: {
      begin(name: string | undefined) {
        end();
        if (name === undefined) return;
        current = { id: `${stage}.${count++}`, cached: false, why: undefined };
        tell({ id: current.id, is: 'started', name });
      },
      log: (text: string) => about((id) => ({ id, is: 'log', text })),
      progress: (progress: Extract<StepEvent, { is: 'progress' }>['progress']) =>
        about((id) => ({ id, is: 'progress', progress })),
      cached() {
        if (current !== undefined) current.cached = true;
      },
      runs(why: string) {
        if (current !== undefined) current.why = why;
      },
      end,
    },
    fail: (error: string) => about((id) => ({ id, is: 'failed', error })),
  };
}
