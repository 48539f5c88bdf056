import { defineCommand } from '../command.ts';
import { list, text, unsupported } from '../options.ts';
import { writeOut } from '../output.ts';

export const command = defineCommand({
  usage: '[OPTIONS] [VOLUME]',
  summary: 'Create a volume',
  options: {
    driver: text('Specify volume driver name', { short: 'd', initial: 'local' }),
    label: list('Set metadata for a volume'),
    opt: unsupported('map', { short: 'o' }),
  },
  args: [0, 1],
  async run({ engine }, { values, args: [name] }) {
    const labels = values.label.map((label) => {
      const at = label.indexOf('=');
      return at < 0 ? [label, ''] : [label.slice(0, at), label.slice(at + 1)];
    });
    const { Name } = await engine.json<{ Name: string }>('POST', '/volumes/create', {
      json: { Name: name ?? '', Driver: values.driver, Labels: Object.fromEntries(labels) },
    });
    writeOut(`${Name}\n`);
    return 0;
  },
});
