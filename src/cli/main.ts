// The command line's entry. What is loaded here is loaded by every command, so it is little: start-up is most of what
// a short command costs (an empty script 20 ms, `gantry version` 30; `import 'node:http'` alone would add 24, because
// importing it as a module touches its WebSocket export and so loads Node's whole fetch).
import { homedir } from 'node:os';
import { createEngineClient, parseEngineHost } from '#client/index.ts';
import { type ConfigFile, readConfig } from './config-file.ts';
import { errorText, Failure } from './failure.ts';
import { globalOptions } from './global-options.ts';
import { parseOptions, suggestion } from './options.ts';
import { writeError, writeOut } from './output.ts';
import { program } from './program.ts';

// The starter sets it for this process; programs that it starts need none of it.
delete process.env.NODE_COMPILE_CACHE;

const defaultHost = 'unix:///run/gantry/gantry.sock';

async function main(argv: readonly string[]): Promise<number> {
  let debug = false;
  try {
    const { values, args, help } = parseGlobal(argv);
    debug = values.debug || values['log-level'] === 'debug';
    if (values.version) return await dispatch(['version', '--format', 'Gantry version {{.Client.Version}}'], values);
    if (help || args.length === 0 || args[0] === 'help')
      return await showHelp(args.slice(args[0] === 'help' ? 1 : 0), values);
    if (args[0] === '__complete') return await completeWords(args.slice(1), values);
    return await dispatch(args, values);
  } catch (error) {
    const message = errorText(error);
    if (message !== '') writeError(`${message}\n`);
    if (debug && error instanceof Error)
      writeError(`${error.stack}\n${error.cause ? `caused by ${error.cause}\n` : ''}`);
    return error instanceof Failure ? error.exitCode : 1;
  }
}

type GlobalValues = ReturnType<typeof parseGlobal>['values'];

function parseGlobal(argv: readonly string[]) {
  try {
    return parseOptions(globalOptions, argv, { stopAtFirst: true });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(
      `${error.message}\n\nUsage:  gantry [OPTIONS] COMMAND [ARG...]\n\nRun 'gantry --help' for more information`,
      error.exitCode,
    );
  }
}

async function dispatch(args: readonly string[], values: GlobalValues): Promise<number> {
  const [first = '', second] = args;
  const entry =
    (second === undefined ? undefined : program.find(({ names }) => names.includes(`${first} ${second}`))) ??
    program.find(({ names }) => names.includes(first));
  if (entry === undefined) return await unknownCommand(args);
  const calledAs = second !== undefined && entry.names.includes(`${first} ${second}`) ? `${first} ${second}` : first;
  const { command } = await entry.load();
  if (values.host.length > 1) throw new Failure('Specify only one -H', 1);
  const configDirectory = values.config || process.env.DOCKER_CONFIG || `${homedir()}/.docker`;
  const config = entry.offline ? {} : configOrWarning(configDirectory);
  const contextName = entry.offline ? 'default' : contextNameOf(values, config);
  const elsewhere = contextName !== 'default' && first !== 'context';
  const { host = hostOf(values), tls = await tlsOf(values) } = elsewhere
    ? (await import('./context-store.ts')).contextEndpoint(configDirectory, contextName)
    : {};
  const engine = createEngineClient(parseEngineHost(host ?? defaultHost, tls), {
    userAgent: `Gantry-Client (linux)`,
    ...(process.env.DOCKER_API_VERSION ? { apiVersion: process.env.DOCKER_API_VERSION } : {}),
    ...(config.HttpHeaders === undefined ? {} : { headers: config.HttpHeaders }),
    ...(host === undefined && first !== '__complete'
      ? { onUnreachable: async () => (await import('./background-engine.ts')).startBackgroundEngine(defaultHost) }
      : {}),
  });
  return await command.execute(
    { engine, configDirectory, config, contextName, calledAs },
    args.slice(calledAs === first ? 1 : 2),
  );
}

const hostOf = (values: GlobalValues) =>
  values.host[0] ?? (process.env.GANTRY_HOST || process.env.DOCKER_HOST || undefined);

/** A broken file is told of, and does not keep a command from its work. */
function configOrWarning(directory: string): ConfigFile {
  try {
    return readConfig(directory);
  } catch (error) {
    writeError(`WARNING: ${errorText(error)}\n`);
    return {};
  }
}

/** -H or -c, then the environment, then what `context use` chose. */
function contextNameOf(values: GlobalValues, config: ConfigFile): string {
  if (values.context !== '' && values.host.length > 0)
    throw new Failure('conflicting options: cannot specify both --host and --context', 1);
  if (values.context !== '') return values.context;
  if (hostOf(values) !== undefined) return 'default';
  return process.env.DOCKER_CONTEXT || config.currentContext || 'default';
}

async function tlsOf(values: GlobalValues) {
  const verify = values.tlsverify || (process.env.DOCKER_TLS_VERIFY ?? '') !== '';
  if (!verify && !values.tls) return undefined;
  const { readTlsFiles } = await import('./tls-files.ts');
  return readTlsFiles({ ca: values.tlscacert, cert: values.tlscert, key: values.tlskey, verify });
}

async function unknownCommand(args: readonly string[]): Promise<never> {
  const [first = '', second] = args;
  const { isGroup, groupHelp } = await import('./help.ts');
  if (isGroup(first)) {
    if (second === undefined || second === '--help' || second === '-h') {
      writeOut(groupHelp(first));
      throw new Failure('', 0);
    }
    const known = program.flatMap(({ names }) =>
      names.filter((n) => n.startsWith(`${first} `)).map((n) => n.slice(first.length + 1)),
    );
    throw new Failure(
      `gantry: unknown command: gantry ${first} ${second}${suggestion(second, known, `gantry ${first} `)}\n\nUsage:  gantry ${first}\n\nRun 'gantry ${first} --help' for more information`,
      1,
    );
  }
  const known = program.flatMap(({ names }) => names.filter((name) => !name.includes(' ')));
  throw new Failure(
    `gantry: unknown command: gantry ${first}${suggestion(first, known, 'gantry ')}\n\nRun 'gantry --help' for more information`,
    1,
  );
}

/** The flags before the command say which engine is asked for names. */
async function completeWords(words: readonly string[], own: GlobalValues): Promise<number> {
  const typed = words[0] === '--' ? words.slice(1) : words;
  try {
    const { values, args } = parseGlobal(typed);
    if (args.length > 0) return await dispatch(['__complete', ...args], values);
  } catch (error) {
    if (!(error instanceof Failure)) throw error; // a flag that is still being typed
  }
  return await dispatch(['__complete', ...typed], own);
}

async function showHelp(topic: readonly string[], values: GlobalValues): Promise<number> {
  if (topic.length > 0) return await dispatch([...topic, '--help'], values);
  const { programHelp } = await import('./help.ts');
  writeOut(programHelp(globalOptions));
  return 0;
}

/** `gantry --standby`, which only the engine's standby calls: loaded ahead, for one command of another process. */
async function standBy(): Promise<number> {
  const { takeCommand } = await import('./standby.ts');
  const argv = await takeCommand(main);
  return argv === undefined ? 0 : await main(argv);
}

const argv = process.argv.slice(2);
// No top-level await: the compiled program's bytecode has none.
void (argv[0] === '--standby' ? standBy() : main(argv)).then((code) => process.exit(code));
