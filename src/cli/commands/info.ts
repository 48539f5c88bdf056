import { defineCommand } from '../command.ts';
import { errorText } from '../failure.ts';
import { formatValue } from '../format.ts';
import { infoText, type SystemInfo } from '../info-text.ts';
import { text } from '../options.ts';
import { writeError, writeOut } from '../output.ts';
import { version } from '../version-number.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Display system-wide information',
  aliases: ['system info', 'info'],
  options: { format: text("Format output: 'json' or a Go template", { short: 'f' }) },
  args: [0, 0],
  async run({ engine }, { values }) {
    const client = { Debug: false, Version: version, Context: 'default', Plugins: [], Warnings: null };
    if (values.format !== '') {
      const info = await engine.json<SystemInfo>('GET', '/info');
      writeOut(await formatValue(values.format, { ...info, ClientInfo: client }, 'info'));
      return 0;
    }
    writeOut(`Client:\n Version:    ${version}\n Context:    default\n Debug Mode: false\n\nServer:\n`);
    try {
      const info = await engine.json<SystemInfo>('GET', '/info');
      writeOut(infoText(info));
      for (const warning of info.Warnings ?? []) writeError(`${warning}\n`);
      return 0;
    } catch (error) {
      writeError(`${errorText(error)}\nerrors pretty printing info\n`);
      return 1;
    }
  },
});
