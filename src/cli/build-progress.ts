import type { BuildLine, BuildStep, BuildWarning } from '#client/index.ts';
import { Failure } from './failure.ts';
import { stepTable } from './step-table.ts';
import { plainSteps } from './step-text.ts';

/** A step of the build as far as it is known. Times in milliseconds since the build began. */
export interface ShownStep {
  readonly number: number;
  readonly name: string;
  readonly started: number;
  ended?: number;
  cached?: boolean;
  why?: string;
  error?: string;
  /** The last lines it printed, each with its time. */
  readonly tail: { readonly at: number; readonly text: string }[];
  /** What came without the end of its line. */
  open: string;
}

/** Draws steps as they go. */
export interface StepDisplay {
  started(step: ShownStep): void;
  line(step: ShownStep, at: number, text: string): void;
  ended(step: ShownStep): void;
  /** All is said; what was drawn stays. */
  close(): void;
}

export interface BuildShown {
  readonly imageId: string;
  /** Of what was tagged: a manifest, or an index. */
  readonly digest: string;
  readonly warnings: readonly BuildWarning[];
  readonly steps: readonly ShownStep[];
}

const mostTail = 20;

/**
 * Shows the steps of a build as they go, and returns what came of it.
 * @throws Failure with the engine's message, after the failing step's last lines and its place in the Dockerfile
 */
export async function showBuild(
  lines: AsyncIterable<BuildLine>,
  mode: 'plain' | 'tty' | 'rawjson' | 'quiet',
  write: (text: string) => void,
  now: () => number = () => performance.now(),
): Promise<BuildShown> {
  const begin = now();
  const steps = new Map<string, ShownStep>();
  const warnings: BuildWarning[] = [];
  const display = mode === 'tty' ? stepTable(write, now, begin) : mode === 'plain' ? plainSteps(write) : undefined;
  let imageId = '';
  let digest = '';
  const take = (event: BuildStep) => {
    const at = now() - begin;
    if (event.is === 'started') {
      const step: ShownStep = { number: steps.size + 1, name: oneLine(event.name), started: at, tail: [], open: '' };
      steps.set(event.id, step);
      display?.started(step);
      return;
    }
    const step = steps.get(event.id);
    if (step === undefined) return;
    if (event.is === 'log' || event.is === 'progress') {
      const text = event.is === 'log' ? event.text : pullLine(event.progress);
      const parts = (step.open + text).split('\n');
      step.open = parts.pop() ?? '';
      for (const part of parts) say(step, at, part);
      return;
    }
    if (step.open !== '') say(step, at, step.open);
    step.open = '';
    step.ended = at;
    if (event.is === 'failed') step.error = event.error;
    else {
      step.cached = event.cached;
      if (event.why !== undefined) step.why = event.why;
    }
    display?.ended(step);
  };
  const say = (step: ShownStep, at: number, text: string) => {
    const clean = text.replace(/\r$/, '').replace(/^.*\r/, '');
    step.tail.push({ at: at - step.started, text: clean });
    if (step.tail.length > mostTail) step.tail.shift();
    display?.line(step, at - step.started, clean);
  };
  try {
    for await (const line of lines) {
      if (mode === 'rawjson') write(`${JSON.stringify(line)}\n`);
      if (line.error !== undefined) {
        display?.close();
        const failed = [...steps.values()].find(({ error }) => error !== undefined);
        if (failed !== undefined && mode !== 'rawjson') write(failure(failed));
        throw new Failure(line.error, line.errorDetail?.code || 1);
      }
      if (line.step !== undefined) take(line.step);
      if (line.warning !== undefined) warnings.push(line.warning);
      if (line.aux?.ID !== undefined) imageId = line.aux.ID;
      if (line.aux?.Digest !== undefined) digest = line.aux.Digest;
    }
  } finally {
    display?.close();
  }
  return { imageId, digest, warnings, steps: [...steps.values()] };
}

const oneLine = (text: string) => text.replaceAll(/\s*\n\s*/g, ' ');

const pullLine = ({ id, status, current }: { id?: string; status: string; current?: number }): string =>
  current === undefined ? `${id === undefined ? '' : `${id}: `}${status}\n` : '';

/** The last lines of the step that failed, and where it stands. */
function failure({ name, tail, error = '' }: ShownStep): string {
  const rule = '-'.repeat(6);
  const frame = error.includes('\n') ? `${error}\n${rule}\n` : '';
  return `${rule}\n > ${name}:\n${tail.map(({ at, text }) => `${seconds(at)} ${text}\n`).join('')}${rule}\n${frame}`;
}

export const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(3);

/** Every step with whether it was cached and, if it was not, why. */
export const explanation = (steps: readonly ShownStep[]): string =>
  steps
    .filter(({ name }) => !/ FROM /.test(name))
    .map(
      ({ name, cached, why }) =>
        `${cached === true ? 'HIT ' : 'MISS'} ${name}${why === undefined ? '' : `\n       ${why}`}\n`,
    )
    .join('');
