import { GantryError, messageOf } from '#errors/index.ts';
import { orgVerbs, tokenVerbs, userVerbs } from './account-commands.ts';
import { adminCommand, runVerb } from './admin-command.ts';
import { startHub } from './compose.ts';
import { hookVerbs, mirrorVerbs } from './mirror-commands.ts';
import { parseHubOptions } from './options.ts';
import { backupVerb, checkVerb, gcVerb, repoVerbs, restoreCommand } from './storage-commands.ts';

const help = `Usage:  gantry hub COMMAND

A registry with accounts and web pages

Commands:
  serve      Serve it
  user       Manage accounts
  org        Manage organisations, such as a class
  token      Manage personal access tokens
  repo       Manage repositories
  mirror     Manage namespaces that are filled from another registry
  hook       Manage URLs that are told of pushes
  gc         Free what nobody can reach
  check      Verify all digests
  backup     Write accounts and images into a directory
  restore    Put a backup into an empty data root
`;

const levels = ['error', 'warn', 'info', 'debug'];

/** `gantry hub …` (what follows `hub`). `serve` runs until SIGTERM or SIGINT. Returns the exit code. */
export async function hubMain(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  try {
    if (command === 'serve') return await serve(rest);
    if (command === 'user') return await adminCommand('user', 'Accounts of a hub', userVerbs, rest);
    if (command === 'org') return await adminCommand('org', 'Organisations of a hub', orgVerbs, rest);
    if (command === 'token') return await adminCommand('token', 'Personal access tokens', tokenVerbs, rest);
    if (command === 'repo') return await adminCommand('repo', 'Repositories of a hub', repoVerbs, rest);
    if (command === 'mirror')
      return await adminCommand('mirror', 'Namespaces that are filled from another registry', mirrorVerbs, rest);
    if (command === 'hook') return await adminCommand('hook', 'URLs that are told of pushes', hookVerbs, rest);
    if (command === 'gc') return await runVerb('gc', gcVerb, rest);
    if (command === 'check') return await runVerb('check', checkVerb, rest);
    if (command === 'backup') return await runVerb('backup', backupVerb, rest);
    if (command === 'restore') return await restoreCommand(rest);
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
  // Read by libuv when its pool is first used. Threads that wait for the disk must not hold up all that opens and writes
  // a file, and syncs that are underway at once share a commit of the file system's journal.
  process.env.UV_THREADPOOL_SIZE ??= '16';
  const hub = await startHub(options, (level, text, fields) => {
    if (levels.indexOf(level) > levels.indexOf(options.logLevel)) return;
    const time = new Date().toISOString();
    const line =
      options.logFormat === 'json'
        ? JSON.stringify({ time, level, message: text, ...fields })
        : `${time} ${level} ${text}`;
    process.stderr.write(`${line}\n`);
  });
  process.on('SIGHUP', () => hub.reloadTls());
  const stopped = Promise.withResolvers<void>();
  process.once('SIGTERM', () => stopped.resolve());
  process.once('SIGINT', () => stopped.resolve());
  process.stdout.write(`hub listening on ${hub.url}\n`);
  await stopped.promise;
  await hub.close();
  return 0;
}
