import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { defineCommand } from '../command.ts';
import { Failure, openProblem } from '../failure.ts';
import { text } from '../options.ts';
import { standardInput } from '../standard-input.ts';

export const command = defineCommand({
  usage: '[OPTIONS] ID',
  summary: 'Fill a cache mount (RUN --mount=type=cache,id=ID) from a tar archive, from STDIN by default',
  options: { input: text('Read from a file, instead of STDIN', { short: 'i' }) },
  args: [1, 1],
  async run({ engine }, { values, args: [id = ''] }) {
    if (values.input !== '')
      await access(values.input).catch((error: unknown) => {
        throw new Failure(openProblem(values.input, error), 1);
      });
    const body = values.input === '' ? standardInput() : createReadStream(values.input);
    await engine.text('POST', '/gantry/build/mount', { query: { id }, body });
    return 0;
  },
});
