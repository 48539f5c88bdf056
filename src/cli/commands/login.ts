import { defineCommand } from '../command.ts';
import { configPath } from '../config-file.ts';
import { Failure } from '../failure.ts';
import { flag, text } from '../options.ts';
import { writeError, writeOut } from '../output.ts';
import { askLine, readAll } from '../prompt.ts';
import { credentialKey, credentialsFor, type RegistryAuth, storeCredentials } from '../registry-credentials.ts';
import { standardInput } from '../standard-input.ts';
import { isTerminal } from '../terminal.ts';

export const command = defineCommand({
  usage: '[OPTIONS] [SERVER]',
  summary: 'Authenticate to a registry.\nDefaults to Docker Hub if no server is specified.',
  options: {
    password: text('Password or Personal Access Token (PAT)', { short: 'p' }),
    'password-stdin': flag('Take the Password or Personal Access Token (PAT) from stdin'),
    username: text('Username', { short: 'u' }),
  },
  args: [0, 1],
  async run({ engine, configDirectory }, { values, args: [server = ''] }) {
    const key = credentialKey(server);
    if (values.password !== '') {
      writeError('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
      if (values['password-stdin']) throw new Failure('--password and --password-stdin are mutually exclusive', 1);
    }
    if (values['password-stdin'] && values.username === '')
      throw new Failure('the --password-stdin option requires --username to be set', 1);
    const given = {
      username: values.username.trim(),
      password: values['password-stdin'] ? await passwordFromStdin() : values.password,
    };
    const stored =
      given.username === '' && given.password === '' ? await storedFor(configDirectory, server) : undefined;
    if (stored !== undefined) {
      writeOut('Authenticating with existing credentials...\n');
      const answer = await authenticate(stored).catch((error: unknown) => error);
      if (!(answer instanceof Error)) {
        writeOut('Login Succeeded\n');
        return 0;
      }
      writeError(`Login did not succeed, error: ${answer.message}\n`);
    }
    const { username, password } = await complete(given, stored?.username ?? '');
    const { Status, IdentityToken } = await authenticate({ username, password });
    const credentials = { username, password, ...(IdentityToken ? { identitytoken: IdentityToken } : {}) };
    if (await storeCredentials(configDirectory, key, credentials))
      writeError(
        `\nWARNING! Your credentials are stored unencrypted in '${configPath(configDirectory)}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n\n`,
      );
    writeOut(`${Status || 'Login Succeeded'}\n`);
    return 0;

    function authenticate(auth: RegistryAuth) {
      return engine.json<{ Status?: string; IdentityToken?: string }>('POST', '/auth', {
        json: { ...auth, serveraddress: key },
      });
    }
  },
});

const storedFor = (directory: string, server: string) =>
  credentialsFor(directory, server === '' ? 'docker.io' : server);

/** The whole of stdin without its line end. @throws Failure where it is empty */
async function passwordFromStdin(): Promise<string> {
  const password = (await readAll(standardInput())).replace(/\r?\n$/, '');
  if (password === '') throw new Failure('no password on standard input', 1);
  return password;
}

/** Asks for what is missing; the password without an echo. */
async function complete(given: { username: string; password: string }, known: string) {
  if (given.username !== '' && given.password !== '') return given;
  if (!isTerminal(0)) throw new Failure('Error: Cannot perform an interactive login from a non TTY device', 1);
  const username =
    given.username ||
    (await askLine(known === '' ? 'Username: ' : `Username (${known}): `, { echo: true })).trim() ||
    known;
  if (username === '') throw new Failure('Error: Non-null Username Required', 1);
  const password = given.password || (await askLine('Password: ', { echo: false }));
  if (password === '') throw new Failure('Error: Password Required', 1);
  return { username, password };
}
