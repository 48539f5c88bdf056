import { GantryError, messageOf } from '#errors/index.ts';
import { startHub } from './compose.ts';
import { parseHubOptions } from './options.ts';
import { userCommand } from './user-command.ts';

const help = `Usage:  gantry hub COMMAND

A registry with accounts and web pages

Commands:
  serve    Serve it
  user     Manage its accounts
`;

const levels = ['error', 'warn', 'info', 'debug'];

/** `gantry hub …` (what follows `hub`). `serve` runs until SIGTERM or SIGINT. Returns the exit code. */
export async function hubMain(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  try {
    if (command === 'serve') return await serve(rest);
    if (command === 'user') return await userCommand(rest);
    if (command !== undefined && command !== '--help' && command !== '-h')
      throw new GantryError('invalid', `"${command}" is no command of 'gantry hub'; see 'gantry hub --help'`);
    process.stdout.write(help);
    return command === undefined ? 1 : 0;
  } catch (error) {
    process.stderr.write(`gantry hub: ${messageOf(error)}\n`);
    return 1;
  }
}

async function serve(argv: readonly string[]): Promise<number> {
  const options = parseHubOptions(argv);
  if ('help' in options) {
    process.stdout.write(options.help);
    return 0;
  }
  const hub = await startHub(options, (level, text) => {
    if (levels.indexOf(level) <= levels.indexOf(options.logLevel))
      process.stderr.write(`${new Date().toISOString()} ${level} ${text}\n`);
  });
  const stopped = Promise.withResolvers<void>();
  process.once('SIGTERM', () => stopped.resolve());
  process.once('SIGINT', () => stopped.resolve());
  process.stdout.write(`hub listening on ${hub.url}\n`);
  await stopped.promise;
  await hub.close();
  return 0;
}
