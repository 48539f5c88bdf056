import { createRegistryClient } from '#distribution/index.ts';
import { GantryError } from '#errors/index.ts';
import {
  createAccounts,
  createBlobs,
  createKeyedLock,
  createManifests,
  createMirrors,
  createQuotas,
  createRepositories,
  createWebhooks,
} from '#registry/index.ts';
import { readPassword } from './account-commands.ts';
import { type AdminCall, type AdminVerbs, printTable, say } from './admin-command.ts';

function mirrorsOf({ db, storage: { store } }: AdminCall) {
  const accounts = createAccounts({ db });
  const repositories = createRepositories({ db });
  const [quotas, lock] = [createQuotas({ db }), createKeyedLock()];
  const blobs = createBlobs({ db, store, repositories, quotas, lock });
  const manifests = createManifests({ db, store, repositories, quotas, lock });
  return createMirrors({ db, accounts, repositories, manifests, blobs, store, client: createRegistryClient() });
}

export const mirrorVerbs: AdminVerbs = {
  add: {
    takes: ['NAME', 'UPSTREAM'],
    flags: { user: 'string', 'password-stdin': 'boolean', ttl: 'string', anonymous: 'boolean' },
    help: 'Fill NAME/… from a registry such as docker.io when it is asked for, logged in there as --user; tags are\n      looked up again after --ttl seconds (default 3600); --anonymous lets callers without an account fetch, too',
    async run(call) {
      const [name = '', upstream = ''] = call.names;
      const { user, ttl = '3600' } = call.flags;
      const password = user === undefined ? undefined : await readPassword(call);
      const username = user === undefined ? undefined : String(user);
      const anonymous = call.flags.anonymous === true;
      await mirrorsOf(call).add({ name, upstream, username, ttl: Number(ttl) * 1000, anonymous }, password);
      say(`${name} mirrors ${upstream}`);
    },
  },
  list: {
    takes: [],
    help: 'List them',
    async run(call) {
      const rows = (await mirrorsOf(call).list()).map(({ name, upstream, username, ttl }) => [
        name,
        upstream,
        username ?? '',
        `${ttl / 1000} s`,
      ]);
      printTable([['NAME', 'UPSTREAM', 'USER', 'TTL'], ...rows]);
    },
  },
};

export const hookVerbs: AdminVerbs = {
  add: {
    takes: ['ACCOUNT', 'URL'],
    help: 'Tell a URL of each push below an account; prints the secret of its signatures',
    async run({ db, names: [account = '', url = ''] }) {
      const owner = await createAccounts({ db }).mustFind(account);
      say((await createWebhooks({ db }).add(owner, url)).secret);
    },
  },
  list: {
    takes: [],
    help: 'List them, with what each answered last',
    async run({ db }) {
      const rows = (await createWebhooks({ db }).list()).map(({ id, account, url, told, answer }) => [
        String(id),
        account,
        url,
        told === undefined ? 'never' : new Date(told).toISOString(),
        answer ?? '',
      ]);
      printTable([['ID', 'ACCOUNT', 'URL', 'TOLD', 'ANSWER'], ...rows]);
    },
  },
  remove: {
    takes: ['ID'],
    help: 'Tell it no more',
    async run({ db, names: [id = ''] }) {
      if (!/^\d{1,15}$/.test(id)) throw new GantryError('invalid', `"${id}" is not a webhook's number`);
      await createWebhooks({ db }).remove(Number(id));
      say(`webhook ${id} removed`);
    },
  },
};
