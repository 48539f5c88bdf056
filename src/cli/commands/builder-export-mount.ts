import { defineCommand } from '../command.ts';
import { text } from '../options.ts';
import { saveBody } from '../save-body.ts';

export const command = defineCommand({
  usage: '[OPTIONS] ID',
  summary: 'Save what a cache mount (RUN --mount=type=cache,id=ID) holds as a tar archive, to STDOUT by default',
  options: { output: text('Write to a file, instead of STDOUT', { short: 'o' }) },
  args: [1, 1],
  run: ({ engine }, { values, args: [id = ''] }) =>
    saveBody(() => engine.stream('GET', '/gantry/build/mount', { query: { id } }), values.output, 'export-mount'),
});
