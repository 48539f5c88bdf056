import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { jsonLines, type ProgressLine } from '#client/index.ts';
import { familiarName, parseReference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { Failure, openProblem } from '../failure.ts';
import { list, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { showProgress } from '../progress-display.ts';
import { standardInput } from '../standard-input.ts';
import { isTerminal } from '../terminal.ts';

export const command = defineCommand({
  usage: '[OPTIONS] file|- [REPOSITORY[:TAG]]',
  summary: 'Import the contents from a tarball to create a filesystem image',
  aliases: ['image import', 'import'],
  options: {
    change: list('Apply Dockerfile instruction to the created image', { short: 'c' }),
    message: text('Set commit message for imported image', { short: 'm' }),
    platform: text('Set platform if server is multi-platform capable'),
  },
  args: [1, 2],
  async run({ engine }, { values, args: [source = '', name] }) {
    if (/^https?:\/\//.test(source))
      throw new Failure(`import from ${source}: not supported; download it and pipe it to 'gantry import -'`, 1);
    const reference = name === undefined ? undefined : parseReference(name);
    if (source !== '-')
      await access(source).catch((error: unknown) => {
        throw new Failure(openProblem(source, error), 1);
      });
    const { body } = await engine.stream('POST', '/images/create', {
      query: {
        fromSrc: '-',
        repo: reference === undefined ? undefined : familiarName(reference),
        tag: reference?.tag,
        message: values.message || undefined,
        platform: values.platform || undefined,
        changes: values.change,
      },
      body: source === '-' ? standardInput() : createReadStream(source, { highWaterMark: 1024 * 1024 }),
    });
    await showProgress(jsonLines<ProgressLine>(body), { write: writeOut, terminal: isTerminal(1) });
    return 0;
  },
});
