import { spawnSync } from 'node:child_process';
import { GantryError } from '#errors/index.ts';
import { type Command, formatOf, print } from './context.ts';
import { cgroupOf } from './freeze.ts';

/** The lines of the host's ps(1) that are of these processes, below its header. */
function psTable(pids: readonly number[], options: readonly string[]): string {
  const words = options.length === 0 ? ['-ef'] : options;
  const { error, status, stdout, stderr } = spawnSync('ps', words, { encoding: 'utf8', maxBuffer: 64 << 20 });
  if (error !== undefined)
    throw new GantryError('unavailable', `cannot run ps: ${error.message}; install procps, or use --format json`);
  if (status !== 0) throw new GantryError('invalid', `ps ${words.join(' ')}: ${stderr.trim()}`);
  const [header = '', ...lines] = stdout.trimEnd().split('\n');
  const column = header.trim().split(/\s+/).indexOf('PID');
  if (column < 0) throw new GantryError('invalid', `ps ${words.join(' ')} shows no PID column; choose other options`);
  const ours = lines.filter((line) => pids.includes(Number(line.trim().split(/\s+/)[column])));
  return [header, ...ours, ''].join('\n');
}

export const ps: Command = {
  options: { format: { kind: 'text', short: 'f' } },
  words: [1, Number.POSITIVE_INFINITY],
  usage: 'ps [--format table|json] ID [OPTIONS OF PS …]',
  about: 'show the processes of a container, as the host sees them',
  run(context) {
    const format = formatOf(context.options);
    const pids = cgroupOf(context, 'created', 'running', 'paused').pids();
    print(format === 'json' ? `${JSON.stringify(pids)}\n` : psTable(pids, context.words));
    return 0;
  },
};
