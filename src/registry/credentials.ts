import { createHash, randomBytes } from 'node:crypto';
import type { Account, Accounts } from './accounts.ts';
import type { Database } from './database.ts';

/** What a secret is for: a browser's session, or Docker's identity token (an OAuth2 refresh token). */
export type CredentialPurpose = 'session' | 'refresh';

/** Lifetimes in milliseconds. */
export const credentialLifetime: Readonly<Record<CredentialPurpose, number>> = {
  session: 14 * 24 * 3600_000,
  refresh: 90 * 24 * 3600_000,
};

/** Long-lived random secrets that stand for an account. Only their hashes are kept. */
export interface Credentials {
  issue(account: Account, purpose: CredentialPurpose): Promise<string>;
  /** The account, or undefined where the secret is unknown, expired, revoked, or older than the account's password. */
  read(secret: string, purpose: CredentialPurpose): Promise<Account | undefined>;
  revoke(secret: string): Promise<void>;
  /** Forgets what has expired. */
  sweep(): Promise<void>;
}

export function createCredentials({
  db,
  accounts,
}: {
  readonly db: Database;
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
    async issue(account, purpose) {
      const secret = randomBytes(32).toString('base64url');
      const expires = Date.now() + credentialLifetime[purpose];
      await insert.run(hash(secret), account.id, purpose, account.passwordVersion, expires);
      return secret;
    },
    async read(secret, purpose) {
      const row = await one.get(hash(secret), purpose, Date.now());
      if (row === undefined) return undefined;
      const account = await accounts.find(Number(row.account));
      return account?.passwordVersion === Number(row.password_version) ? account : undefined;
    },
    revoke: async (secret) => void (await drop.run(hash(secret))),
    sweep: async () => void (await dropExpired.run(Date.now())),
  };
}
