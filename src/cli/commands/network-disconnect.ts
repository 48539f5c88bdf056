import { defineCommand } from '../command.ts';
import { flag } from '../options.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NETWORK CONTAINER',
  summary: 'Disconnect a container from a network',
  options: { force: flag('Force the container to disconnect from a network', { short: 'f' }) },
  args: [2, 2],
  async run({ engine }, { values, args: [network = '', container = ''] }) {
    await engine.json('POST', `/networks/${encodeURIComponent(network)}/disconnect`, {
      json: { Container: container, Force: values.force },
    });
    return 0;
  },
});
