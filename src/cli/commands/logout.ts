import { defineCommand } from '../command.ts';
import { writeOut } from '../output.ts';
import { credentialKey, eraseCredentials } from '../registry-credentials.ts';

export const command = defineCommand({
  usage: '[SERVER]',
  summary: 'Log out from a registry.\nIf no server is specified, the default is Docker Hub.',
  options: {},
  args: [0, 1],
  async run({ configDirectory }, { args: [server] }) {
    const key = credentialKey(server ?? '');
    writeOut(`Removing login credentials for ${key}\n`);
    await eraseCredentials(configDirectory, key);
    return 0;
  },
});
