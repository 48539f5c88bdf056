import { resolve } from 'node:path';
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
import { holdCollecting, holdServing, openStorage } from './storage.ts';
import { defaultDataRoot } from './storage-options.ts';

const setting = (
  help: string,
  change: (repositories: ReturnType<typeof createRepositories>, name: string) => Promise<void>,
) =>
  ({
    takes: ['NAME'],
    help,
    run: ({ db, names }) => change(createRepositories({ db }), names[0] ?? ''),
  }) satisfies AdminVerb;

const mustFind = async (repositories: ReturnType<typeof createRepositories>, name: string) => {
  const found = await repositories.find(name);
  if (found === undefined) throw new GantryError('not-found', `there is no repository ${name}`);
  return found;
};

export const repoVerbs: AdminVerbs = {
  list: {
    takes: ['[ACCOUNT]'],
    help: 'List repositories',
    async run({ db, names }) {
      const repositories = createRepositories({ db });
      const accounts = createAccounts({ db });
      const owners = names[0] === undefined ? await accounts.list() : [await accounts.mustFind(names[0])];
      const rows: string[][] = [];
      for (const owner of owners) {
        const caller = { account: owner, scopes: undefined };
        for (const one of await repositories.ownedBy(owner.id, caller, { last: '', limit: 100_000 }))
          rows.push([
            one.name,
            one.private ? 'private' : 'public',
            one.immutable ? 'immutable' : '',
            new Date(one.updated).toISOString(),
          ]);
      }
      printTable([['NAME', 'VISIBILITY', 'TAGS', 'UPDATED'], ...rows]);
    },
  },
  remove: setting('Remove it with all its images', async (repositories, name) => {
    await repositories.remove(await mustFind(repositories, name));
    say(`repository ${name} removed`);
  }),
  private: setting('Let only its members read it', async (repositories, name) => {
    await repositories.setPrivate(await mustFind(repositories, name), true);
    say(`${name} is private`);
  }),
  public: setting('Let everyone read it', async (repositories, name) => {
    await repositories.setPrivate(await mustFind(repositories, name), false);
    say(`${name} is public`);
  }),
  immutable: {
    takes: ['NAME', 'on|off'],
    help: 'Keep tags, once set, as they are, or not',
    async run({ db, names: [name = '', value = ''] }) {
      if (value !== 'on' && value !== 'off') throw new GantryError('invalid', `"${value}" is neither on nor off`);
      const repositories = createRepositories({ db });
      await repositories.setImmutable(await mustFind(repositories, name), value === 'on');
      say(`the tags of ${name} are ${value === 'on' ? 'immutable' : 'movable'}`);
    },
  },
};

export const gcVerb: AdminVerb = {
  takes: [],
  flags: { grace: 'string' },
  help: 'Free what nobody can reach, also while the hub serves; --grace says for how many seconds a pushed blob may\n      wait for its manifest (default 86400)',
  async run({ db, storage, flags }) {
    const grace = Number(flags.grace ?? 86_400);
    if (!(grace >= 0)) throw new GantryError('invalid', `--grace "${String(flags.grace)}" is not a number of seconds`);
    await using _held = await holdCollecting(storage);
    const { store } = storage;
    const accounts = createAccounts({ db });
    const repositories = createRepositories({ db });
    const quotas = createQuotas({ db });
    const blobs = createBlobs({ db, store, repositories, quotas, lock: createKeyedLock() });
    const uploads = createUploads({ db, store, blobs, quotas });
    const credentials = createCredentials({ db, accounts });
    const freed = await collectGarbage({ db, store, uploads, credentials }, { grace: grace * 1000 });
    say(`freed ${freed.blobs} blobs, ${freed.bytes} bytes`);
  },
};

export const checkVerb: AdminVerb = {
  takes: [],
  help: 'Read every blob, verify its digest, and look that nothing is missing',
  async run({ storage }) {
    const { blobs, bytes, problems } = await checkIntegrity(storage);
    for (const problem of problems) say(problem);
    if (problems.length > 0) throw new GantryError('corrupt', `${problems.length} problems in ${storage.place}`);
    say(`${blobs} blobs, ${bytes} bytes: all good`);
  },
};

export const backupVerb: AdminVerb = {
  takes: ['DIRECTORY'],
  help: 'Write accounts and images, as they are at this moment, into an empty directory, while the hub serves',
  async run({ storage, names: [directory = ''] }) {
    if (storage.files === undefined)
      throw new GantryError(
        'unsupported',
        "a backup of PostgreSQL and a bucket is not made here: use pg_dump first, then a copy of the bucket's objects",
      );
    await using _held = await holdCollecting(storage);
    const { blobs } = await backUp(storage.files, resolve(directory));
    say(`${storage.place} backed up to ${directory}: ${blobs} blobs`);
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
  const options = { kind: 'files', dataRoot } as const;
  await using storage = await openStorage(options);
  using _held = holdServing(options);
  await checkVerb.run({ db: storage.db, storage, options, names: [], flags: {} });
  return 0;
}
