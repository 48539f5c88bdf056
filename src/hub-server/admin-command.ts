import { parseArgs } from 'node:util';
import { GantryError, messageOf } from '#errors/index.ts';
import { createAccounts } from '#registry/index.ts';
import { openDataRoot } from './data-root.ts';
import { defaultDataRoot } from './options.ts';

const help = `Usage:  gantry hub user COMMAND [OPTIONS]

Accounts of a hub, whether or not it is running

Commands:
  add NAME --password-stdin       Make an account
  passwd NAME --password-stdin    Give it a new password; what was signed in is signed out
  remove NAME                     Remove it with its repositories
  list                            List accounts

Options:
      --data-root string    The hub's data root (default "${defaultDataRoot}")
      --password-stdin      Read the password from standard input
`;

/** `gantry hub user …`: works on the hub's database. Returns the exit code. @throws GantryError */
export async function userCommand(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parse(argv);
  const [command, name, ...rest] = positionals;
  if (values.help || command === undefined) {
    process.stdout.write(help);
    return values.help ? 0 : 1;
  }
  if (!['add', 'passwd', 'remove', 'list'].includes(command))
    throw new GantryError('invalid', `"${command}" is no command of 'gantry hub user'; see 'gantry hub user --help'`);
  const needsName = command !== 'list';
  if (rest.length > 0 || (name !== undefined) !== needsName)
    throw new GantryError('invalid', `'gantry hub user ${command}' takes ${needsName ? 'one name' : 'no name'}`);
  const password =
    command === 'add' || command === 'passwd' ? await readPassword(values['password-stdin'] ?? false) : '';

  using db = openDataRoot(values['data-root']);
  const accounts = createAccounts({ db });
  switch (command) {
    case 'add':
      await accounts.create(name ?? '', password);
      process.stdout.write(`account ${name} made\n`);
      break;
    case 'passwd':
      await accounts.changePassword(name ?? '', password);
      process.stdout.write(`password of ${name} changed\n`);
      break;
    case 'remove': {
      const { repositories } = accounts.remove(name ?? '');
      process.stdout.write(`account ${name} removed, with ${repositories} repositories\n`);
      break;
    }
    default: {
      const rows = accounts
        .list()
        .map((account) => [account.name, String(account.repositories), new Date(account.created).toISOString()]);
      const table = [['NAME', 'REPOSITORIES', 'CREATED'], ...rows];
      for (const [first = '', second = '', third = ''] of table)
        process.stdout.write(`${first.padEnd(40)}${second.padEnd(15)}${third}\n`);
    }
  }
  return 0;
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        'data-root': { type: 'string', default: defaultDataRoot },
        'password-stdin': { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new GantryError('invalid', `${messageOf(error)}; see 'gantry hub user --help'`);
  }
}

/** The password from standard input, without the newline at its end. */
async function readPassword(fromStdin: boolean): Promise<string> {
  if (!fromStdin) throw new GantryError('invalid', 'give the password on standard input, with --password-stdin');
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
