import { clientApiVersion, type ServerVersion } from '#client/index.ts';
import { isGantryError } from '#errors/index.ts';
import { defineCommand } from '../command.ts';
import { errorText } from '../failure.ts';
import { formatValue } from '../format.ts';
import { text } from '../options.ts';
import { writeError, writeOut } from '../output.ts';
import { version } from '../version-number.ts';

const arch = process.arch === 'x64' ? 'amd64' : process.arch;

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Show the Gantry version information',
  options: { format: text("Format output: 'json' or a Go template", { short: 'f' }) },
  args: [0, 0],
  async run({ engine }, { values }) {
    const client = {
      Version: version,
      ApiVersion: process.env.DOCKER_API_VERSION || clientApiVersion,
      DefaultAPIVersion: clientApiVersion,
      GitCommit: '',
      GoVersion: `node ${process.version}`,
      Os: 'linux',
      Arch: arch,
      BuildTime: '',
      Context: 'default',
    };
    // A template that asks only for the client needs no engine.
    const needsServer = values.format === '' || values.format === 'json' || /Server/.test(values.format);
    let server: ServerVersion | null = null;
    let failure: unknown;
    if (needsServer)
      try {
        server = await engine.json<ServerVersion>('GET', '/version');
      } catch (error) {
        if (!isGantryError(error)) throw error;
        failure = error;
      }
    writeOut(
      values.format === ''
        ? `${clientText(client)}${server === null ? '' : `\n${serverText(server)}`}`
        : await formatValue(values.format, { Client: client, Server: server }, 'version'),
    );
    if (failure === undefined) return 0;
    writeError(`${errorText(failure)}\n`);
    return 1;
  },
});

const clientText = (c: {
  Version: string;
  ApiVersion: string;
  GoVersion: string;
  Os: string;
  Arch: string;
  Context: string;
}) =>
  `Client:
 Version:           ${c.Version}
 API version:       ${c.ApiVersion}
 Node version:      ${process.version}
 OS/Arch:           ${c.Os}/${c.Arch}
 Context:           ${c.Context}
`;

function serverText({ Platform, Components, Version, ApiVersion, MinAPIVersion, Os, Arch }: ServerVersion): string {
  const components = Components ?? [
    { Name: 'Engine', Version, Details: { ApiVersion, MinAPIVersion: MinAPIVersion ?? '', Os, Arch } },
  ];
  const line = (label: string, value: string) => `  ${`${label}:`.padEnd(17)} ${value}\n`;
  return `Server:${Platform?.Name ? ` ${Platform.Name}` : ''}\n${components
    .map(({ Name, Version: number, Details = {} }) => {
      const rows = [line('Version', number)];
      if (Name === 'Engine') {
        rows.push(line('API version', `${Details.ApiVersion} (minimum version ${Details.MinAPIVersion})`));
        if (Details.GoVersion) rows.push(line('Go version', Details.GoVersion));
        if (Details.NodeVersion) rows.push(line('Node version', Details.NodeVersion));
        if (Details.GitCommit) rows.push(line('Git commit', Details.GitCommit));
        rows.push(line('OS/Arch', `${Details.Os}/${Details.Arch}`));
        if (Details.KernelVersion) rows.push(line('Kernel version', Details.KernelVersion));
      } else if (Details.GitCommit) rows.push(line('GitCommit', Details.GitCommit));
      return ` ${Name}:\n${rows.join('')}`;
    })
    .join('')}`;
}
