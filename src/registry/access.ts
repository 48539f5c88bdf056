import { GantryError } from '#errors/index.ts';
import type { Caller } from './access-tokens.ts';
import type { Account, Accounts } from './accounts.ts';
import { checkRepositoryName, namespaceOf, type Repositories, type Repository } from './repositories.ts';
import { type Action, actionsOf, type Roles } from './roles.ts';

/** The words that Docker's token scopes have; `push` is `create`, and `overwrite` where the role has it. */
export type WireAction = 'pull' | 'push' | 'delete';

/** Where a push goes; the repository itself is made by the first thing that arrives in it. */
export interface PushTarget {
  /** Who pushes. */
  readonly account: Account;
  /** The id of the account, a person or an organisation, whose namespace it is. */
  readonly owner: number;
  readonly name: string;
  /** Whether tags that are there may be moved. */
  readonly mayOverwrite: boolean;
  /** Whether a manifest may come before what it names, as in a mirror that fetches a blob when it is asked for. */
  readonly partsLater?: boolean;
}

/**
 * Who may do what, from the present state of accounts, roles and repositories: everyone reads what is public; to who
 * may not read it a private repository does not exist; one's own namespace is one's own, an organisation's is its
 * members' by their roles. Where a token asks, both the account and the token must allow it.
 *
 * Each throws GantryError invalid (code `name-invalid`), unauthorized (`login-required`; `scope-missing` where the
 * account may and its token does not say so), forbidden (`denied`), not-found (`name-unknown`).
 */
export interface Access {
  toPull(caller: Caller, name: string): Promise<Repository>;
  toPush(caller: Caller, name: string): Promise<PushTarget>;
  toDelete(caller: Caller, name: string): Promise<Repository>;
  /** Settings of the repository, and its removal. */
  toManage(caller: Caller, name: string): Promise<Repository>;
  /** What the caller may do there, for a page that shows only what works. */
  actions(caller: Caller, repository: Repository): Promise<readonly Action[]>;
  /** The actions of a requested scope that a token may carry; it tells nothing about what exists. */
  grantable(caller: Caller, name: string, actions: readonly string[]): Promise<readonly WireAction[]>;
}

export function createAccess({
  accounts,
  repositories,
  roles,
}: {
  readonly accounts: Pick<Accounts, 'named'>;
  readonly repositories: Pick<Repositories, 'find'>;
  readonly roles: Roles;
}): Access {
  const loginRequired = (name: string) =>
    new GantryError('unauthorized', `log in to use ${name}`, { code: 'login-required' });
  const unknown = (name: string) =>
    new GantryError('not-found', `there is no repository ${name} that you may read`, { code: 'name-unknown' });
  const denied = (name: string, action: string, who: string) =>
    new GantryError('forbidden', `${who} may not ${action} ${name}`, { code: 'denied' });

  const requireScope = ({ scopes }: Caller, name: string, action: WireAction): void => {
    const covered = scopes?.some(
      (scope) => scope.type === 'repository' && scope.name === name && scope.actions.includes(action),
    );
    if (covered === false)
      throw new GantryError('unauthorized', `the token does not cover ${action} on ${name}; ask for one that does`, {
        code: 'scope-missing',
      });
  };
  /** What a personal token leaves of a role. */
  const within = ({ limit }: Caller, name: string, actions: readonly Action[]): readonly Action[] =>
    limit === undefined
      ? actions
      : limit.repository === undefined || limit.repository === name
        ? actions.filter((action) => limit.actions.includes(action))
        : [];
  const actionsIn = async (
    caller: Caller,
    name: string,
    owner: number,
    repository?: number,
  ): Promise<readonly Action[]> => {
    if (caller.account === undefined) return [];
    return within(caller, name, actionsOf(await roles.of(caller.account.id, owner, repository)));
  };

  /** Who writes where, and what of it is allowed. */
  const writing = async (caller: Caller, name: string, action: Action, wire: WireAction) => {
    checkRepositoryName(name);
    const { account } = caller;
    if (account === undefined) throw loginRequired(name);
    const repository = await repositories.find(name);
    const owner = repository?.owner ?? (await accounts.named(namespaceOf(name)))?.id;
    const actions = owner === undefined ? [] : await actionsIn(caller, name, owner, repository?.id);
    if (owner === undefined || !actions.includes(action))
      throw denied(name, wire, caller.limit === undefined ? account.name : `this token of ${account.name}`);
    requireScope(caller, name, wire);
    return { account, owner, repository, actions };
  };
  const mustExist = async (caller: Caller, name: string, action: Action): Promise<Repository> => {
    const { repository } = await writing(caller, name, action, 'delete');
    if (repository === undefined) throw unknown(name);
    return repository;
  };

  return {
    async toPull(caller, name) {
      checkRepositoryName(name);
      const repository = await repositories.find(name);
      if (repository !== undefined && !repository.private) return repository;
      if (caller.account === undefined) throw loginRequired(name);
      if (
        repository === undefined ||
        !(await actionsIn(caller, name, repository.owner, repository.id)).includes('pull')
      )
        throw unknown(name);
      requireScope(caller, name, 'pull');
      return repository;
    },
    async toPush(caller, name) {
      const { account, owner, actions } = await writing(caller, name, 'create', 'push');
      return { account, owner, name, mayOverwrite: actions.includes('overwrite') };
    },
    toDelete: async (caller, name) => await mustExist(caller, name, 'delete'),
    toManage: async (caller, name) => await mustExist(caller, name, 'manage'),
    actions: async (caller, { name, owner, id }) => await actionsIn(caller, name, owner, id),
    async grantable(caller, name, wanted) {
      const repository = await repositories.find(name);
      const owner = repository?.owner ?? (await accounts.named(namespaceOf(name)))?.id;
      const actions = owner === undefined ? [] : await actionsIn(caller, name, owner, repository?.id);
      const possible: WireAction[] = ['pull'];
      if (actions.includes('create')) possible.push('push');
      if (actions.includes('delete')) possible.push('delete');
      return possible.filter((action) => wanted.includes(action) || wanted.includes('*'));
    },
  };
}
