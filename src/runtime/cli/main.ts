import { appendFileSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { GantryError, messageOf } from '#errors/index.ts';
import { type OptionRules, parseOptions } from './arguments.ts';
import type { Command } from './context.ts';
import { launcher } from './launcher.ts';
import { specification, version } from './version.ts';

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
  ps: async () => (await import('./ps.ts')).ps,
  update: async () => (await import('./update.ts')).update,
  events: async () => (await import('./events.ts')).events,
  features: async () => (await import('./features.ts')).features,
  spec: async () => (await import('./spec.ts')).spec,
  checkpoint: async () => (await import('./checkpoint.ts')).checkpoint,
  restore: async () => (await import('./restore.ts')).restore,
};

const globalOptions: OptionRules = {
  root: { kind: 'text' },
  log: { kind: 'text' },
  'log-format': { kind: 'text' },
  debug: { kind: 'flag' },
  'systemd-cgroup': { kind: 'flag' },
  rootless: { kind: 'text' },
  criu: { kind: 'text' },
  help: { kind: 'flag', short: 'h' },
  version: { kind: 'flag', short: 'v' },
};

const usageOf = ({ usage, about }: Command): string => `  ${usage}\n      ${about}`;

const help = async () =>
  [
    'gantry-runtime: runs containers by the Open Container Initiative runtime specification',
    '',
    'usage: gantry-runtime [--root DIR] [--log FILE] [--log-format text|json] [--debug] [--systemd-cgroup]',
    '                      [--rootless auto|true|false] [--criu PROGRAM] COMMAND',
    '',
    ...(await Promise.all(Object.values(commands).map((load) => load()))).map(usageOf),
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

/** Whether we are to do with what a user who is not root has. @throws GantryError invalid */
function isRootless(given: string): boolean {
  if (given !== 'auto' && given !== 'true' && given !== 'false')
    throw new GantryError('invalid', `--rootless ${given}: use auto, true or false`);
  return given === 'auto' ? process.geteuid?.() !== 0 : given === 'true';
}

function stateRoot(rootless: boolean): string {
  const own = process.env.XDG_RUNTIME_DIR;
  return rootless && own !== undefined ? `${own}/gantry-runtime` : '/run/gantry-runtime';
}

async function dispatch(given: ReturnType<typeof parseOptions>, globals: readonly string[]): Promise<number> {
  const rootless = isRootless(given.text('rootless') ?? 'auto');
  const [name = '', ...words] = given.rest;
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) throw new GantryError('invalid', `"${name}" is no command; see gantry-runtime --help`);
  const command = await load();
  if (words[0] === '--help' || words[0] === '-h') {
    writeSync(1, `${usageOf(command)}\n`);
    return 0;
  }
  const options = parseOptions(words, command.options, name);
  const [least, most] = command.words;
  if (options.rest.length < least || options.rest.length > most)
    throw new GantryError('invalid', `usage: gantry-runtime ${command.usage}`);
  const [id = '', ...rest] = options.rest;
  const criu = given.text('criu') ?? 'criu';
  const root = resolve(given.text('root') ?? stateRoot(rootless));
  return await command.run({
    root,
    systemdCgroup: given.flag('systemd-cgroup'),
    rootless,
    criu,
    globals,
    options,
    id,
    words: rest,
  });
}

/** What a shell gives where a command cannot be run; 1 for all else. */
function exitCodeOf(error: unknown): number {
  const code = error instanceof GantryError ? error.code : '';
  return code === 'command-not-found' ? 127 : code === 'command-not-executable' ? 126 : 1;
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
      writeSync(1, `gantry-runtime version ${version}\nspec: ${specification.newest}\n`);
      return 0;
    }
    if (given.flag('help') || given.rest.length === 0 || given.rest[0] === 'help') {
      writeSync(1, await help());
      return 0;
    }
    return await dispatch(given, words.slice(0, words.length - given.rest.length));
  } catch (error) {
    report(error, log, format, debug);
    return exitCodeOf(error);
  }
}

// No top-level await: the compiled program's bytecode has none.
// At once: all is written, and taking an engine down in good order takes as long as a command.
void main(process.argv.slice(2)).then((code) => {
  launcher?.done(code);
  process.exit(code);
});
