import { GantryError } from '#errors/index.ts';

/** Names that would be mistaken for a part of the hub, or for its operator. */
const reserved = new Set(
  'admin administrator api assets blobs board docker gantry healthz hub invite join library login logout manifests metrics new official organisations readyz registry root search session settings sign-in sign-up static support system tags token tokens v1 v2 www'.split(
    ' ',
  ),
);

/** Checks a name for a new account: one path component of a repository name. @throws GantryError invalid, saying the rule */
export function checkAccountName(name: string): void {
  const fail = (why: string) => {
    throw new GantryError('invalid', `the account name "${name.slice(0, 60)}" ${why}`, {
      code: 'account-name-invalid',
    });
  };
  if (name.length < 2 || name.length > 39) fail('must have 2 to 39 characters');
  if (!/^[a-z0-9]+(?:[_-][a-z0-9]+)*$/.test(name))
    fail('may hold lowercase letters and digits, with single "-" or "_" between them');
  if (reserved.has(name)) fail('is reserved; choose another');
}
