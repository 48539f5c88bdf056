import { appendFileSync, writeSync } from 'node:fs';
import { GantryError, messageOf } from '#errors/index.ts';
import { type OptionRules, parseOptions } from './arguments.ts';
import type { Command } from './context.ts';

const version = '0.1.0';
const specificationVersion = '1.2.0';

/** Each loaded when it is asked for: most need little of the runtime, and callers run several in a row. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  create: async () => (await import('./create.ts')).create,
  start: async () => (await import('./start.ts')).start,
  state: async () => (await import('./state.ts')).stateCommand,
  kill: async () => (await import('./kill.ts')).kill,
  delete: async () => (await import('./delete.ts')).deleteCommand,
  run: async () => (await import('./run.ts')).run,
  exec: async () => (await import('./exec.ts')).exec,
  list: async () => (await import('./state.ts')).list,
  pause: async () => (await import('./freeze.ts')).pause,
  resume: async () => (await import('./freeze.ts')).resume,
  ps: async () => (await import('./freeze.ts')).ps,
  spec: async () => (await import('./spec.ts')).spec,
};

/** What runc has and this runtime does not. */
const notSupported = new Set(['checkpoint', 'restore', 'events', 'update', 'features']);

const globalOptions: OptionRules = {
  root: { kind: 'text' },
  log: { kind: 'text' },
  'log-format': { kind: 'text' },
  debug: { kind: 'flag' },
  'systemd-cgroup': { kind: 'flag' },
  rootless: { kind: 'text' },
  help: { kind: 'flag', short: 'h' },
  version: { kind: 'flag', short: 'v' },
};

const help = async () =>
  [
    'gantry-runtime: runs containers by the Open Container Initiative runtime specification',
    '',
    'usage: gantry-runtime [--root DIR] [--log FILE] [--log-format text|json] [--debug] COMMAND',
    '',
    ...(await Promise.all(Object.values(commands).map((load) => load()))).flatMap(({ usage, about }) => [
      `  ${usage}`,
      `      ${about}`,
    ]),
    '',
  ].join('\n');

function logLine(format: string, level: string, message: string): string {
  const time = new Date().toISOString();
  return format === 'json'
    ? `${JSON.stringify({ level, msg: message, time })}\n`
    : `time="${time}" level=${level} msg=${JSON.stringify(message)}\n`;
}

/** Says it on stderr, and in the log of `--log` for whoever runs us with stderr as the container's. */
function report(error: unknown, log: string | undefined, format: string, debug: boolean): void {
  const message = messageOf(error);
  writeSync(2, `gantry-runtime: ${debug && error instanceof Error ? (error.stack ?? message) : message}\n`);
  if (log === undefined) return;
  try {
    appendFileSync(log, logLine(format, 'error', message), { mode: 0o600 });
  } catch (cause) {
    writeSync(2, `gantry-runtime: --log ${log}: ${messageOf(cause)}\n`);
  }
}

async function dispatch(given: ReturnType<typeof parseOptions>): Promise<number> {
  if (given.flag('systemd-cgroup'))
    throw new GantryError('unsupported', "--systemd-cgroup is not supported; use the caller's cgroupfs manager");
  const rootless = given.text('rootless') ?? 'auto';
  if (rootless !== 'auto' && rootless !== 'false')
    throw new GantryError('unsupported', `--rootless ${rootless} is not supported; run as root`);
  const [name = '', ...words] = given.rest;
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    if (notSupported.has(name))
      throw new GantryError('unsupported', `${name} is not supported by gantry-runtime ${version}`);
    throw new GantryError('invalid', `"${name}" is no command; see gantry-runtime --help`);
  }
  const command = await load();
  const options = parseOptions(words, command.options, name);
  const [least, most] = command.words;
  if (options.rest.length < least || options.rest.length > most)
    throw new GantryError('invalid', `usage: gantry-runtime ${command.usage}`);
  const [id = '', ...rest] = options.rest;
  return await command.run({ root: given.text('root') ?? '/run/gantry-runtime', options, id, words: rest });
}

async function main(words: readonly string[]): Promise<number> {
  let log: string | undefined;
  let format = 'text';
  let debug = false;
  try {
    const given = parseOptions(words, globalOptions, 'gantry-runtime');
    log = given.text('log');
    debug = given.flag('debug');
    format = given.text('log-format') ?? 'text';
    if (format !== 'text' && format !== 'json')
      throw new GantryError('invalid', `--log-format ${format}: use text or json`);
    if (given.flag('version')) {
      writeSync(1, `gantry-runtime version ${version}\nspec: ${specificationVersion}\n`);
      return 0;
    }
    if (given.flag('help') || given.rest.length === 0 || given.rest[0] === 'help') {
      writeSync(1, await help());
      return 0;
    }
    return await dispatch(given);
  } catch (error) {
    report(error, log, format, debug);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
