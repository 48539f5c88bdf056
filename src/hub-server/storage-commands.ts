import { resolve } from 'node:path';
import { createContentStore } from '#content/index.ts';
import { GantryError } from '#errors/index.ts';
import {
  backUp,
  checkIntegrity,
  collectGarbage,
  createAccounts,
  createBlobs,
  createCredentials,
  createKeyedLock,
  createQuotas,
  createRepositories,
  createUploads,
  restore,
} from '#registry/index.ts';
import { type AdminVerb, type AdminVerbs, printTable, say } from './admin-command.ts';
import { holdCollecting, holdDataRoot, openDataRoot } from './data-root.ts';
import { defaultDataRoot } from './options.ts';

const contentOf = (dataRoot: string) => createContentStore({ root: `${dataRoot}/content` });
const setting = (help: string, change: (repositories: ReturnType<typeof createRepositories>, name: string) => void) =>
  ({
    takes: ['NAME'],
    help,
    run: ({ db, names }) => change(createRepositories({ db }), names[0] ?? ''),
  }) satisfies AdminVerb;

const mustFind = (repositories: ReturnType<typeof createRepositories>, name: string) => {
  const found = repositories.find(name);
  if (found === undefined) throw new GantryError('not-found', `there is no repository ${name}`);
  return found;
};

export const repoVerbs: AdminVerbs = {
  list: {
    takes: ['[ACCOUNT]'],
    help: 'List repositories',
    run({ db, names }) {
      const repositories = createRepositories({ db });
      const accounts = createAccounts({ db });
      const owners = names[0] === undefined ? accounts.list() : [accounts.mustFind(names[0])];
      const rows = owners.flatMap((owner) =>
        repositories
          .ownedBy(owner.id, { account: owner, scopes: undefined }, { last: '', limit: 100_000 })
          .map((one) => [
            one.name,
            one.private ? 'private' : 'public',
            one.immutable ? 'immutable' : '',
            new Date(one.updated).toISOString(),
          ]),
      );
      printTable([['NAME', 'VISIBILITY', 'TAGS', 'UPDATED'], ...rows]);
    },
  },
  remove: setting('Remove it with all its images', (repositories, name) => {
    repositories.remove(mustFind(repositories, name));
    say(`repository ${name} removed`);
  }),
  private: setting('Let only its members read it', (repositories, name) => {
    repositories.setPrivate(mustFind(repositories, name), true);
    say(`${name} is private`);
  }),
  public: setting('Let everyone read it', (repositories, name) => {
    repositories.setPrivate(mustFind(repositories, name), false);
    say(`${name} is public`);
  }),
  immutable: {
    takes: ['NAME', 'on|off'],
    help: 'Keep tags, once set, as they are, or not',
    run({ db, names: [name = '', value = ''] }) {
      if (value !== 'on' && value !== 'off') throw new GantryError('invalid', `"${value}" is neither on nor off`);
      const repositories = createRepositories({ db });
      repositories.setImmutable(mustFind(repositories, name), value === 'on');
      say(`the tags of ${name} are ${value === 'on' ? 'immutable' : 'movable'}`);
    },
  },
};

export const gcVerb: AdminVerb = {
  takes: [],
  flags: { grace: 'string' },
  help: 'Free what nobody can reach, also while the hub serves; --grace says for how many seconds a pushed blob may\n      wait for its manifest (default 86400)',
  async run({ db, dataRoot, flags }) {
    const grace = Number(flags.grace ?? 86_400);
    if (!(grace >= 0)) throw new GantryError('invalid', `--grace "${String(flags.grace)}" is not a number of seconds`);
    using _held = holdCollecting(dataRoot);
    const content = await contentOf(dataRoot);
    const accounts = createAccounts({ db });
    const repositories = createRepositories({ db });
    const quotas = createQuotas({ db });
    const blobs = createBlobs({ db, content, repositories, quotas, lock: createKeyedLock() });
    const uploads = createUploads({ db, content, blobs, quotas });
    const credentials = createCredentials({ db, accounts });
    const freed = await collectGarbage({ db, content, uploads, credentials }, { grace: grace * 1000 });
    say(`freed ${freed.blobs} blobs, ${freed.bytes} bytes`);
  },
};

export const checkVerb: AdminVerb = {
  takes: [],
  help: 'Read every blob, verify its digest, and look that nothing is missing',
  async run({ db, dataRoot }) {
    const { blobs, bytes, problems } = await checkIntegrity({ db, content: await contentOf(dataRoot) });
    for (const problem of problems) say(problem);
    if (problems.length > 0) throw new GantryError('corrupt', `${problems.length} problems in ${dataRoot}`);
    say(`${blobs} blobs, ${bytes} bytes: all good`);
  },
};

export const backupVerb: AdminVerb = {
  takes: ['DIRECTORY'],
  help: 'Write accounts and images, as they are at this moment, into an empty directory, while the hub serves',
  async run({ db, dataRoot, names: [directory = ''] }) {
    using _held = holdCollecting(dataRoot);
    const { blobs } = await backUp({ db, content: await contentOf(dataRoot) }, resolve(directory));
    say(`${dataRoot} backed up to ${directory}: ${blobs} blobs`);
  },
};

/** `gantry hub restore BACKUP --data-root DIR`: into an empty data root, every digest verified. */
export async function restoreCommand(argv: readonly string[]): Promise<number> {
  const at = argv.indexOf('--data-root');
  const dataRoot = resolve(at < 0 ? defaultDataRoot : (argv[at + 1] ?? ''));
  const [backup, ...more] = argv.filter((_, i) => at < 0 || (i !== at && i !== at + 1));
  if (backup === undefined || more.length > 0 || backup.startsWith('-')) {
    process.stdout.write(
      `Usage:  gantry hub restore BACKUP [--data-root DIR]\n\nPut a backup into an empty data root and verify it (default "${defaultDataRoot}")\n`,
    );
    return backup === '--help' || backup === '-h' ? 0 : 1;
  }
  await restore(resolve(backup), dataRoot);
  using db = openDataRoot(dataRoot);
  using _held = holdDataRoot(dataRoot);
  await checkVerb.run({ db, dataRoot, names: [], flags: {} });
  return 0;
}
