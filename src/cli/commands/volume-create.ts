import { defineCommand } from '../command.ts';
import { list, text, unsupported } from '../options.ts';
import { writeOut } from '../output.ts';
import { pairs } from '../pairs.ts';

export const command = defineCommand({
  usage: '[OPTIONS] [VOLUME]',
  summary: 'Create a volume',
  options: {
    availability: unsupported('Cluster Volume availability ("active", "pause", "drain")'),
    driver: text('Specify volume driver name', { short: 'd', initial: 'local' }),
    group: unsupported('Cluster Volume group (cluster volumes)'),
    label: list('Set metadata for a volume'),
    'limit-bytes': unsupported('Minimum size of the Cluster Volume in bytes', 'bytes'),
    opt: list('Set driver specific options', { short: 'o', label: 'map' }),
    'required-bytes': unsupported('Maximum size of the Cluster Volume in bytes', 'bytes'),
    scope: unsupported('Cluster Volume access scope ("single", "multi")'),
    secret: unsupported('Cluster Volume secrets', 'map'),
    sharing: unsupported('Cluster Volume access sharing ("none", "readonly", "onewriter", "all")'),
    'topology-preferred': unsupported('A topology that the Cluster Volume would be preferred in', 'list'),
    'topology-required': unsupported('A topology that the Cluster Volume must be accessible from', 'list'),
    type: unsupported('Cluster Volume access type ("mount", "block")'),
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
