import { createHash, randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { Account, Accounts } from './accounts.ts';

/** What a secret is for: a browser's session, or Docker's identity token (an OAuth2 refresh token). */
export type CredentialPurpose = 'session' | 'refresh';

/** Lifetimes in milliseconds. */
export const credentialLifetime: Readonly<Record<CredentialPurpose, number>> = {
  session: 14 * 24 * 3600_000,
  refresh: 90 * 24 * 3600_000,
};

/** Long-lived random secrets that stand for an account. Only their hashes are kept. */
export interface Credentials {
  issue(account: Account, purpose: CredentialPurpose): string;
  /** The account, or undefined where the secret is unknown, expired, revoked, or older than the account's password. */
  read(secret: string, purpose: CredentialPurpose): Account | undefined;
  revoke(secret: string): void;
  /** Forgets what has expired. */
  sweep(): void;
}

export function createCredentials({
  db,
  accounts,
}: {
  readonly db: DatabaseSync;
  readonly accounts: Pick<Accounts, 'find'>;
}): Credentials {
  const insert = db.prepare(
    'INSERT INTO credentials (hash, account, purpose, password_version, expires) VALUES (?, ?, ?, ?, ?)',
  );
  const one = db.prepare('SELECT * FROM credentials WHERE hash = ? AND purpose = ? AND expires > ?');
  const drop = db.prepare('DELETE FROM credentials WHERE hash = ?');
  const dropExpired = db.prepare('DELETE FROM credentials WHERE expires <= ?');
  const hash = (secret: string) => createHash('sha256').update(secret).digest();

  return {
    issue(account, purpose) {
      const secret = randomBytes(32).toString('base64url');
      const expires = Date.now() + credentialLifetime[purpose];
      insert.run(hash(secret), account.id, purpose, account.passwordVersion, expires);
      return secret;
    },
    read(secret, purpose) {
      const row = one.get(hash(secret), purpose, Date.now());
      if (row === undefined) return undefined;
      const account = accounts.find(Number(row.account));
      return account?.passwordVersion === Number(row.password_version) ? account : undefined;
    },
    revoke: (secret) => void drop.run(hash(secret)),
    sweep: () => void dropExpired.run(Date.now()),
  };
}
