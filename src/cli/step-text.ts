import { type StepDisplay, seconds } from './build-progress.ts';

/** Steps as lines of text, for logs and pipes. A step whose turn comes again repeats its name. */
export function plainSteps(write: (text: string) => void): StepDisplay {
  let last = 0;
  const turn = ({ number, name }: { readonly number: number; readonly name: string }) => {
    if (last === number) return;
    write(`${last === 0 ? '' : '\n'}#${number} ${name}\n`);
    last = number;
  };
  return {
    started: turn,
    line(step, at, text) {
      turn(step);
      write(`#${step.number} ${seconds(at)} ${text}\n`);
    },
    ended(step) {
      turn(step);
      if (step.why !== undefined) write(`#${step.number} not cached: ${step.why}\n`);
      const took = `${(((step.ended ?? 0) - step.started) / 1000).toFixed(1)}s`;
      write(
        `#${step.number} ${step.error !== undefined ? `ERROR: ${step.error.split('\n', 1)[0]}` : step.cached === true ? 'CACHED' : `DONE ${took}`}\n`,
      );
    },
    close: () => undefined,
  };
}
