import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { jsonLines, type ProgressLine } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { Failure, openProblem } from '../failure.ts';
import { flag, text, unsupported } from '../options.ts';
import { writeOut } from '../output.ts';
import { showProgress } from '../progress-display.ts';
import { standardInput } from '../standard-input.ts';
import { isTerminal, windowSize } from '../terminal.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Load an image from a tar archive or STDIN',
  aliases: ['image load', 'load'],
  options: {
    input: text('Read from tar archive file, instead of STDIN', { short: 'i' }),
    platform: unsupported(
      'Load only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
    ),
    quiet: flag('Suppress the load output', { short: 'q' }),
  },
  args: [0, 0],
  async run({ engine }, { values }) {
    if (values.input === '' && isTerminal(0)) throw new Failure('requested load from stdin, but stdin is empty', 1);
    if (values.input !== '')
      await access(values.input).catch((error: unknown) => {
        throw new Failure(openProblem(values.input, error), 1);
      });
    const { body } = await engine.stream('POST', '/images/load', {
      query: { quiet: values.quiet || !isTerminal(1) },
      body: values.input === '' ? standardInput() : createReadStream(values.input, { highWaterMark: 1024 * 1024 }),
    });
    await showProgress(jsonLines<ProgressLine>(body), {
      write: writeOut,
      terminal: isTerminal(1) && !values.quiet,
      columns: windowSize()?.columns ?? 80,
    });
    return 0;
  },
});
