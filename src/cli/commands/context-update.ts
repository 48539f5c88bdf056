import { defineCommand } from '../command.ts';
import { dockerEndpointHelp, endpointOf, parseDockerEndpoint } from '../context-endpoint.ts';
import { checkContextName, readContext, writeContext } from '../context-store.ts';
import { text, value } from '../options.ts';
import { writeError, writeOut } from '../output.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTEXT',
  summary: `Update a context\n${dockerEndpointHelp}`.trimEnd(),
  options: {
    description: text('Description of the context'),
    docker: value('stringToString', parseDockerEndpoint, 'set the docker endpoint'),
  },
  args: [1, 1],
  async run({ configDirectory: directory }, { values, given, args: [name = ''] }) {
    checkContextName(name);
    const before = readContext(directory, name);
    const made = values.docker === undefined ? undefined : endpointOf(directory, values.docker);
    writeContext(
      directory,
      {
        ...before,
        Metadata: given.has('description') ? { ...before.Metadata, Description: values.description } : before.Metadata,
        Endpoints: made === undefined ? before.Endpoints : { ...before.Endpoints, docker: made.endpoint },
      },
      made?.tls,
    );
    writeOut(`${name}\n`);
    writeError(`Successfully updated context "${name}"\n`);
    return 0;
  },
});
