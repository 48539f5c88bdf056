import { readFileSync } from 'node:fs';
import { type Context, type DockerEndpoint, readContext, readTls, type TlsFiles } from './context-store.ts';
import { Failure, openProblem } from './failure.ts';
import { pairs } from './pairs.ts';

export const dockerEndpointHelp = `
Docker endpoint config:

NAME                DESCRIPTION
from                Copy named context's Docker endpoint configuration
host                Docker endpoint on which to connect
ca                  Trust certs signed only by this CA
cert                Path to TLS certificate file
key                 Path to TLS key file
skip-tls-verify     Skip TLS certificate validation

Example:

$ gantry context create my-context --description "some description" \\
    --docker "host=tcp://myserver:2376,ca=~/ca,cert=~/cert,key=~/key"
`;

const known = ['from', 'host', 'ca', 'cert', 'key', 'skip-tls-verify'];

/** The fields of `--docker`. @throws Error for one that is not known */
export function parseDockerEndpoint(written: string): Readonly<Record<string, string>> {
  const fields = pairs(written.split(','));
  for (const name of Object.keys(fields))
    if (!known.includes(name)) throw new Error(`unrecognized config key: ${name}; known are ${known.join(', ')}`);
  return fields;
}

/** What `--docker` makes of an endpoint and its key files. @throws Failure */
export function endpointOf(
  directory: string,
  fields: Readonly<Record<string, string>>,
): { endpoint: DockerEndpoint; tls: TlsFiles } {
  const wrong = (message: string) => new Failure(`unable to create docker endpoint config: ${message}`, 1);
  if (fields.from !== undefined) {
    if (Object.keys(fields).length > 1)
      throw wrong('"from" cannot be used together with other endpoint configuration options');
    return endpointNamed(directory, fields.from);
  }
  const tls = Object.fromEntries(
    (['ca', 'cert', 'key'] as const).flatMap((name) => {
      const path = fields[name];
      return path === undefined ? [] : [[`${name}.pem`, pemAt(path, wrong)]];
    }),
  );
  const skip = fields['skip-tls-verify'] ?? 'false';
  if (!/^(?:true|false|1|0)$/.test(skip)) throw wrong(`skip-tls-verify: "${skip}" is neither true nor false`);
  return { endpoint: { Host: fields.host ?? '', SkipTLSVerify: skip === 'true' || skip === '1' }, tls };
}

/** The endpoint of another context; of `default`, what the environment says. */
export function endpointNamed(directory: string, name: string): { endpoint: DockerEndpoint; tls: TlsFiles } {
  if (name === 'default') return { endpoint: defaultEndpoint(), tls: {} };
  const { Endpoints } = readContext(directory, name);
  return { endpoint: Endpoints.docker ?? { SkipTLSVerify: false }, tls: readTls(directory, name) };
}

const defaultEndpoint = (): DockerEndpoint => ({
  Host: process.env.GANTRY_HOST || process.env.DOCKER_HOST || 'unix:///run/gantry/gantry.sock',
  SkipTLSVerify: false,
});

/** The context `default`, which no file holds. */
export const defaultContext = (): Context => ({
  Name: 'default',
  Metadata: {},
  Endpoints: { docker: defaultEndpoint() },
});

export const contextNamed = (directory: string, name: string): Context =>
  name === 'default' ? defaultContext() : readContext(directory, name);

/** Where the environment says which engine, it wins over what `context use` chose: this is told. */
export function hostOverride(use: string): string {
  const variable = ['GANTRY_HOST', 'DOCKER_HOST'].find((name) => process.env[name]);
  return variable === undefined
    ? ''
    : `Warning: ${variable} environment variable overrides the active context. To use ${use}, either set the global --context flag, or unset ${variable} environment variable.\n`;
}

function pemAt(path: string, wrong: (message: string) => Failure): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(path.replace(/^~(?=\/)/, process.env.HOME ?? '~'));
  } catch (error) {
    throw wrong(openProblem(path, error));
  }
  if (!content.includes('-----BEGIN '))
    throw wrong(`${path} holds no PEM block; give a certificate or key in PEM form`);
  return content;
}
