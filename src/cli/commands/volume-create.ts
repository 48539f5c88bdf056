import { defineCommand } from '../command.ts';
import { list, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { pairs } from '../pairs.ts';

export const command = defineCommand({
  usage: '[OPTIONS] [VOLUME]',
  summary: 'Create a volume',
  options: {
    driver: text('Specify volume driver name', { short: 'd', initial: 'local' }),
    label: list('Set metadata for a volume'),
    opt: list('Set driver specific options', { short: 'o', label: 'map' }),
  },
  args: [0, 1],
  async run({ engine }, { values, args: [name] }) {
    const { Name } = await engine.json<{ Name: string }>('POST', '/volumes/create', {
      json: { Name: name ?? '', Driver: values.driver, Labels: pairs(values.label), DriverOpts: pairs(values.opt) },
    });
    writeOut(`${Name}\n`);
    return 0;
  },
});
