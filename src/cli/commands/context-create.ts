import { defineCommand } from '../command.ts';
import {
  contextNamed,
  dockerEndpointHelp,
  endpointNamed,
  endpointOf,
  parseDockerEndpoint,
} from '../context-endpoint.ts';
import { checkContextName, contextExists, writeContext } from '../context-store.ts';
import { Failure } from '../failure.ts';
import { text, value } from '../options.ts';
import { writeError, writeOut } from '../output.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTEXT',
  summary: `Create a context\n${dockerEndpointHelp}`.trimEnd(),
  options: {
    description: text('Description of the context'),
    docker: value('stringToString', parseDockerEndpoint, 'set the docker endpoint'),
    from: text('create context from a named context'),
  },
  args: [1, 1],
  async run({ configDirectory: directory, contextName }, { values, args: [name = ''] }) {
    checkContextName(name);
    if (contextExists(directory, name)) throw new Failure(`context "${name}" already exists`, 1);
    if (values.docker !== undefined && values.from !== '')
      throw new Failure('cannot use --docker flag when --from is set', 1);
    const source = values.from || contextName;
    const { endpoint, tls } =
      values.docker === undefined ? endpointNamed(directory, source) : endpointOf(directory, values.docker);
    const description =
      values.description || (values.from === '' ? '' : contextNamed(directory, values.from).Metadata.Description);
    writeContext(
      directory,
      {
        Name: name,
        Metadata: description ? { Description: description } : {},
        Endpoints: { docker: endpoint },
      },
      tls,
    );
    writeOut(`${name}\n`);
    writeError(`Successfully created context "${name}"\n`);
    return 0;
  },
});
