import { defineCommand } from '../command.ts';
import { readConfig } from '../config-file.ts';
import { hostOverride } from '../context-endpoint.ts';
import { readContext } from '../context-store.ts';
import { writeError, writeOut } from '../output.ts';
import { writeConfig } from '../write-config.ts';

export const command = defineCommand({
  usage: 'CONTEXT',
  summary: 'Set the current docker context',
  options: {},
  args: [1, 1],
  async run({ configDirectory: directory }, { args: [name = ''] }) {
    if (name !== 'default') readContext(directory, name);
    const { currentContext: _before, ...others } = readConfig(directory);
    writeConfig(directory, name === 'default' ? others : { ...others, currentContext: name });
    writeOut(`${name}\n`);
    writeError(`Current context is now "${name}"\n`);
    if (name !== 'default') writeError(hostOverride(`"${name}"`));
    return 0;
  },
});
