import type { ProgressLine } from '#client/index.ts';
import { Failure } from './failure.ts';
import { humanSize } from './units.ts';

export interface ProgressOutput {
  readonly write: (text: string) => void;
  /** Lines of one layer are redrawn in place; without a terminal each change of state is a line of its own. */
  readonly terminal: boolean;
  readonly columns?: number;
}

const barWidth = 50;

/** `[=====>     ]  1.2MB/3.4MB` of a step; empty where nothing is known of its size. */
export function progressBar(
  { current = 0, total = 0, units = '' }: NonNullable<ProgressLine['progressDetail']>,
  columns: number,
): string {
  if (current <= 0 && total <= 0) return '';
  const shown = (amount: number) => (units === '' ? humanSize(amount) : `${amount}`);
  const suffix = units === '' ? '' : ` ${units}`;
  if (total <= 0) return shown(current).padStart(8) + suffix;
  const done = Math.min(barWidth, Math.floor((current / total) * 100) >> 1);
  const bar = columns > 110 ? `[${'='.repeat(done)}>${' '.repeat(barWidth - done)}] ` : '';
  return `${bar}${shown(current).padStart(8)}${current > total ? '' : `/${shown(total)}`}${suffix}`;
}

/**
 * Shows the JSON lines that pull, push, load and build answer with, as Docker shows them.
 * @throws Failure with the engine's message where the stream reports an error
 */
export async function showProgress(
  lines: AsyncIterable<ProgressLine>,
  { write, terminal, columns = 80 }: ProgressOutput,
  onAux: (aux: unknown) => void = () => {},
): Promise<void> {
  let rows = new Map<string, number>();
  for await (const line of lines) {
    if (line.errorDetail !== undefined || line.error !== undefined)
      throw new Failure(
        line.errorDetail?.message ?? line.error ?? 'the engine reported an error without a message',
        line.errorDetail?.code || 1,
      );
    if (line.aux !== undefined && line.aux !== null) {
      onAux(line.aux);
      if (line.status === undefined && line.stream === undefined) continue;
    }
    const { id = '', progressDetail } = line;
    const bar = progressDetail === undefined ? '' : progressBar(progressDetail, columns);
    if (!terminal) {
      if (bar === '') write(plain(line));
      continue;
    }
    if (id === '' || progressDetail === undefined) {
      rows = new Map();
      write(plain(line));
      continue;
    }
    let row = rows.get(id);
    if (row === undefined) {
      row = rows.size;
      rows.set(id, row);
      write('\n');
    }
    const up = rows.size - row;
    write(`\x1b[${up}A\x1b[2K\r${id}: ${line.status ?? ''} ${bar}\r\x1b[${up}B`);
  }
}

const plain = ({ id = '', status, stream }: ProgressLine): string =>
  stream ?? `${id === '' ? '' : `${id}: `}${status ?? ''}\n`;
