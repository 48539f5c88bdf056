import { isGantryError, throwIfAborted } from '#errors/index.ts';
import { cacheKey } from './build-cache.ts';
import type { BuildSession } from './build-session.ts';
import { orCancelled } from './or-cancelled.ts';
import type { StageOutput } from './stage-output.ts';
import type { StageState } from './stage-state.ts';
import type { MadeStep } from './step-layers.ts';
import type { StepInputs } from './step-memory.ts';

/** A step as the cache sees it. */
export interface KeyedStep {
  readonly kind: string;
  /** The instruction as written. */
  readonly original: string;
  readonly facts: StepInputs['facts'];
  readonly files?: StepInputs['files'];
}

/** Work that several builds may wait for. */
export interface Flight {
  readonly done: Promise<unknown>;
  /** Hear what it prints from now on. */
  readonly listeners: Set<(text: string) => void>;
}

export type Flights = Map<string, Flight>;

export interface StepRun {
  readonly diffId: string;
  /** Prints for everybody who waits for this step. */
  readonly log: (text: string) => void;
}

/**
 * The result of a step: an earlier one where nothing that it depends on changed, else made by `work`. The same step
 * asked for by several builds at once runs once; should the build that runs it be cancelled, another one does.
 */
export async function keyedStep(
  session: BuildSession,
  state: StageState,
  at: { readonly stage: number; readonly output: StageOutput },
  step: KeyedStep,
  work: (run: StepRun) => Promise<void>,
): Promise<MadeStep & { readonly key: string }> {
  const { layers, flights, memory, signal, epoch, holds } = session;
  const { output } = at;
  const parent = state.tree.identity;
  const key = cacheKey(step.kind, [parent, step.facts, ...(epoch === undefined ? [] : [epoch])]);
  const place = {
    kind: step.kind,
    dockerfile: session.file.stages[0]?.from.span.source.name ?? '',
    stage: session.file.stages[at.stage]?.name ?? String(at.stage),
    original: step.original,
  };
  const inputs: StepInputs = { parent, facts: step.facts, ...(step.files === undefined ? {} : { files: step.files }) };
  const ignoring = session.ignoresCache(at.stage);
  const flightKey = `${key} ${state.tree.exported === undefined ? 'private' : 'exported'}`;
  for (;;) {
    throwIfAborted(signal);
    const running = ignoring ? undefined : flights.get(flightKey);
    if (running !== undefined) {
      await follow(running, output, signal);
      continue;
    }
    const cached = ignoring
      ? undefined
      : await layers.reuse(key, state.tree, { signal, holds, portable: session.portable });
    if (cached !== undefined) {
      output.cached();
      return { ...cached, key };
    }
    // While the cache was asked, another build may have begun.
    if (!ignoring && flights.has(flightKey)) continue;
    output.runs(ignoring ? 'the cache is not used for it' : memory.explain(place, key, inputs));
    const flight: Flight = { done: Promise.resolve(), listeners: new Set([output.log]) };
    const made = layers.make(
      key,
      state.tree,
      (diffId) =>
        work({
          diffId,
          log: (text) => {
            for (const listener of flight.listeners) listener(text);
          },
        }),
      { signal, holds, ...(epoch === undefined ? {} : { epoch }) },
    );
    flights.set(flightKey, Object.assign(flight, { done: made }));
    try {
      const result = await made;
      memory.remember(place, key, inputs);
      return { ...result, key };
    } finally {
      if (flights.get(flightKey) === flight) flights.delete(flightKey);
    }
  }
}

/** Waits for a step that another build runs. Its failure is ours; its cancellation is not. */
async function follow(flight: Flight, output: StageOutput, signal: AbortSignal): Promise<void> {
  output.text(' ---> Another build is running this step; waiting for it\n');
  flight.listeners.add(output.log);
  try {
    await orCancelled(flight.done, signal);
  } catch (error) {
    throwIfAborted(signal);
    if (!isGantryError(error, 'cancelled')) throw error;
  } finally {
    flight.listeners.delete(output.log);
  }
}
