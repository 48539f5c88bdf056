import type { ShownStep, StepDisplay } from './build-progress.ts';
import { windowSize } from './terminal.ts';

const linesOfRunning = 6;
const between = 100;

/** Steps drawn in place on a terminal: one line each with its time, and the last lines of those that run. */
export function stepTable(write: (text: string) => void, now: () => number, begin: number): StepDisplay {
  const steps: ShownStep[] = [];
  let drawn = 0;
  const draw = (final = false) => {
    const { columns = 80, rows = 24 } = windowSize() ?? {};
    const at = now() - begin;
    const done = steps.filter(({ ended }) => ended !== undefined).length;
    const head = `[+] Building ${tenths(at)} (${done}/${steps.length})${final ? ' FINISHED' : ''}`;
    const body = steps.flatMap((step) => rowsOf(step, at, columns, final));
    // What does not fit would scroll away and be drawn again and again.
    const shown = final ? body : body.slice(-Math.max(1, rows - 2));
    // Row by row: a terminal that keeps what is cleared from its top keeps no frame of this.
    const frame = [head, ...shown].map((row) => `${row.slice(0, columns)}\x1b[K\n`).join('');
    write(`${drawn === 0 ? '' : `\x1b[${drawn}A`}${frame}\x1b[J`);
    drawn = shown.length + 1;
  };
  const timer = setInterval(draw, between);
  timer.unref();
  let closed = false;
  return {
    started(step) {
      steps.push(step);
      draw();
    },
    line: () => undefined,
    ended: () => draw(),
    close() {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      draw(true);
    },
  };
}

const tenths = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)}s`;

function rowsOf(step: ShownStep, at: number, columns: number, final: boolean): readonly string[] {
  const { name, started, ended, cached, error, tail } = step;
  const mark =
    error !== undefined ? 'ERROR ' : cached === true ? 'CACHED ' : final && ended === undefined ? 'CANCELED ' : '';
  const time = tenths((ended ?? at) - started);
  const room = columns - 5 - time.length - mark.length;
  const row = ` => ${mark}${name.length > room ? name.slice(0, room) : name.padEnd(room)} ${time}`;
  if (ended !== undefined || final) return [row];
  return [row, ...tail.slice(-linesOfRunning).map(({ text }) => ` => => # ${printable(text)}`)];
}

/** A step's output may hold anything; only what stays on its line is drawn. */
const printable = (text: string) => text.replaceAll('\t', ' ').replace(/\x1b\[[0-9;]*[A-Za-z]|[\x00-\x1f\x7f]/g, '');
