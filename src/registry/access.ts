import { GantryError } from '#errors/index.ts';
import type { Caller } from './access-tokens.ts';
import type { Account } from './accounts.ts';
import { checkRepositoryName, namespaceOf, type Repositories, type Repository } from './repositories.ts';

export type Action = 'pull' | 'push' | 'delete';

/** Where a push goes; the repository itself is made by the first thing that arrives in it. */
export interface PushTarget {
  readonly account: Account;
  readonly name: string;
}

/**
 * Who may do what, from the present state of accounts and repositories: everyone reads what is public; a private
 * repository is there for its owner only, to all others it does not exist; an account writes below its own name.
 *
 * Each throws GantryError invalid (code `name-invalid`), unauthorized (`login-required`; `scope-missing` where the
 * account may and its token does not say so), forbidden (`denied`), not-found (`name-unknown`).
 */
export interface Access {
  toPull(caller: Caller, name: string): Repository;
  toPush(caller: Caller, name: string): PushTarget;
  toDelete(caller: Caller, name: string): Repository;
  /** The actions of a requested scope that a token may carry; it tells nothing about what exists. */
  grantable(account: Account | undefined, name: string, actions: readonly string[]): readonly Action[];
}

export function createAccess({ repositories }: { readonly repositories: Pick<Repositories, 'find'> }): Access {
  const loginRequired = (name: string) =>
    new GantryError('unauthorized', `log in to use ${name}`, { code: 'login-required' });
  const unknown = (name: string) =>
    new GantryError('not-found', `there is no repository ${name} that you may read`, { code: 'name-unknown' });

  const requireScope = ({ scopes }: Caller, name: string, action: Action): void => {
    const covered = scopes?.some(
      (scope) => scope.type === 'repository' && scope.name === name && scope.actions.includes(action),
    );
    if (covered === false)
      throw new GantryError('unauthorized', `the token does not cover ${action} on ${name}; ask for one that does`, {
        code: 'scope-missing',
      });
  };

  const toWrite = (caller: Caller, name: string, action: Action): PushTarget => {
    checkRepositoryName(name);
    const { account } = caller;
    if (account === undefined) throw loginRequired(name);
    if (namespaceOf(name) !== account.name)
      throw new GantryError('forbidden', `${account.name} may ${action} only below ${account.name}/, not ${name}`, {
        code: 'denied',
      });
    requireScope(caller, name, action);
    return { account, name };
  };

  return {
    toPull(caller, name) {
      checkRepositoryName(name);
      const repository = repositories.find(name);
      if (repository !== undefined && !repository.private) return repository;
      if (caller.account === undefined) throw loginRequired(name);
      if (repository === undefined || repository.owner !== caller.account.id) throw unknown(name);
      requireScope(caller, name, 'pull');
      return repository;
    },
    toPush: (caller, name) => toWrite(caller, name, 'push'),
    toDelete(caller, name) {
      toWrite(caller, name, 'delete');
      const repository = repositories.find(name);
      if (repository === undefined) throw unknown(name);
      return repository;
    },
    grantable(account, name, actions) {
      const own = account !== undefined && namespaceOf(name) === account.name;
      const possible: readonly Action[] = own ? ['pull', 'push', 'delete'] : ['pull'];
      return possible.filter((action) => actions.includes(action) || actions.includes('*'));
    },
  };
}
