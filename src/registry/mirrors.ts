import type { RegistryClient } from '#distribution/index.ts';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import { isDigest, parseReference, type Reference } from '#oci/index.ts';
import type { PushTarget } from './access.ts';
import type { Caller } from './access-tokens.ts';
import type { Account, Accounts } from './accounts.ts';
import type { BlobStore } from './blob-store.ts';
import type { Blobs } from './blobs.ts';
import type { Database } from './database.ts';
import type { Manifests } from './manifests.ts';
import { namespaceOf, type Repositories, type Repository } from './repositories.ts';

export interface Mirror {
  readonly name: string;
  /** A registry with, perhaps, the beginning of names there: `docker.io`, `quay.io/centos`. */
  readonly upstream: string;
  readonly username: string | undefined;
  /** How long a tag is taken to be what it was, in milliseconds. */
  readonly ttl: number;
  /** Whether somebody without an account makes the hub fetch; what is here already is for all who may read it. */
  readonly anonymous: boolean;
}

/**
 * Namespaces that stand for another registry: `dockerhub/library/busybox` is fetched from there when it is first asked
 * for, kept, and given from here from then on. A digest never changes; a tag is looked up again when it is older than
 * the mirror's `ttl`, and while the upstream does not answer it stays what it was.
 */
export interface Mirrors {
  /** Makes the namespace. @throws GantryError invalid (upstream, name), conflict */
  add(mirror: Mirror, password: string | undefined): Promise<void>;
  list(): Promise<readonly Mirror[]>;
  /** Whether a name belongs to a mirror. */
  covers(name: string): Promise<boolean>;
  /**
   * Brings a manifest here where it is not, or is too old. Says whether what is here may be stale.
   * @throws GantryError as RegistryClient.getManifest where there is nothing to fall back on
   */
  manifest(caller: Caller, name: string, reference: string, signal?: AbortSignal): Promise<{ stale: boolean }>;
  /** Brings a blob here that a manifest of the repository names. @throws GantryError as RegistryClient.getBlob */
  blob(caller: Caller, name: string, digest: string, signal?: AbortSignal): Promise<void>;
}

interface Row {
  readonly account: Account;
  readonly mirror: Mirror;
  readonly password: string | undefined;
}

export function createMirrors({
  db,
  accounts,
  repositories,
  manifests,
  blobs,
  store,
  client,
  onStale = () => undefined,
}: {
  readonly db: Database;
  readonly accounts: Pick<Accounts, 'find' | 'createOrg'>;
  readonly repositories: Pick<Repositories, 'find'>;
  readonly manifests: Pick<Manifests, 'find' | 'put'>;
  readonly blobs: Pick<Blobs, 'stat' | 'link'>;
  readonly store: Pick<BlobStore, 'ingest' | 'stat'>;
  readonly client: Pick<RegistryClient, 'getManifest' | 'headManifest' | 'getBlob'>;
  readonly onStale?: (name: string, why: string) => void;
}): Mirrors {
  const insert = db.prepare(
    'INSERT INTO mirrors (account, upstream, username, password, ttl, anonymous) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const all = db.prepare('SELECT m.*, a.name FROM mirrors m JOIN accounts a ON a.id = m.account ORDER BY a.name');
  const one = db.prepare('SELECT m.*, a.name FROM mirrors m JOIN accounts a ON a.id = m.account WHERE a.name = ?');
  const checkedAt = db.prepare('SELECT checked FROM mirrored_tags WHERE repository = ? AND name = ?');
  const setChecked = db.prepare(
    'INSERT INTO mirrored_tags (repository, name, checked) VALUES (?, ?, ?) ON CONFLICT (repository, name) DO UPDATE SET checked = excluded.checked',
  );
  const named = db.prepare('SELECT 1 AS named FROM manifest_parts WHERE repository = ? AND digest = ? LIMIT 1');
  /** A class that pulls the same image at once fetches it once. */
  const underway = new Map<string, Promise<unknown>>();
  const once = async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const running = underway.get(key) ?? work().finally(() => void underway.delete(key));
    underway.set(key, running);
    return (await running) as T;
  };

  const find = async (name: string): Promise<Row | undefined> => {
    const row = await one.get(namespaceOf(name));
    const account = row === undefined ? undefined : await accounts.find(Number(row.account));
    if (row === undefined || account === undefined) return undefined;
    return { account, mirror: mirrorOf(row), password: row.password === null ? undefined : String(row.password) };
  };
  const upstreamOf = ({ mirror, password }: Row, name: string, signal: AbortSignal | undefined) => {
    const ref = parseReference(`${mirror.upstream}/${name.slice(mirror.name.length + 1)}`, null);
    const { username } = mirror;
    const credentials = username === undefined || password === undefined ? undefined : { username, password };
    return { ref, options: { credentials, signal } };
  };
  const targetOf = ({ account }: Row, name: string): PushTarget => ({
    account,
    owner: account.id,
    name,
    mayOverwrite: true,
    partsLater: true,
  });
  const mayFetch = ({ mirror, account }: Row, { account: who, limit }: Caller): boolean =>
    (mirror.anonymous || who !== undefined) && !account.defaultPrivate && limit?.repository === undefined;

  const here = async (repository: Repository | undefined, reference: string) => {
    if (repository === undefined) return undefined;
    try {
      return await manifests.find(repository, reference);
    } catch (error) {
      if (isGantryError(error, 'not-found')) return undefined;
      throw error;
    }
  };

  const fetchManifest = async (row: Row, name: string, reference: string, signal: AbortSignal | undefined) => {
    const { ref, options } = upstreamOf(row, name, signal);
    const repository = await repositories.find(name);
    const present = await here(repository, reference);
    const wanted: Reference = isDigest(reference) ? { ...ref, digest: reference } : { ...ref, tag: reference };
    // Asking for the head first costs nothing of an upstream's allowance of pulls.
    const head = present === undefined ? undefined : await client.headManifest(wanted, options);
    if (present === undefined || head?.digest !== present.digest) {
      const { mediaType, bytes } = await client.getManifest(wanted, options);
      await manifests.put(targetOf(row, name), reference, mediaType, bytes);
    }
    const stored = await repositories.find(name);
    if (stored !== undefined && !isDigest(reference)) await setChecked.run(stored.id, reference, Date.now());
  };

  return {
    async add(mirror, password) {
      const { registry } = parseReference(`${mirror.upstream}/x`, null);
      if (!(mirror.ttl >= 0)) throw new GantryError('invalid', `a mirror's tags cannot be kept for ${mirror.ttl} ms`);
      if (registry === 'docker.io' && !/^docker\.io(?:\/|$)/.test(mirror.upstream))
        throw new GantryError(
          'invalid',
          `"${mirror.upstream}" names no registry; begin with its host, as in docker.io`,
        );
      const account = await accounts.createOrg(mirror.name);
      const { upstream, username, ttl, anonymous } = mirror;
      await insert.run(account.id, upstream, username ?? null, password ?? null, ttl, anonymous ? 1 : 0);
    },
    list: async () => (await all.all()).map(mirrorOf),
    covers: async (name) => (await one.get(namespaceOf(name))) !== undefined,
    async manifest(caller, name, reference, signal) {
      const row = await find(name);
      if (row === undefined) return { stale: false };
      const repository = await repositories.find(name);
      const present = await here(repository, reference);
      if (present !== undefined && repository !== undefined) {
        const checked = isDigest(reference)
          ? Date.now()
          : Number((await checkedAt.get(repository.id, reference))?.checked ?? 0);
        if (Date.now() - checked < row.mirror.ttl || isDigest(reference)) return { stale: false };
      }
      if (!mayFetch(row, caller)) return { stale: present !== undefined };
      try {
        await once(`${name} ${reference}`, () => fetchManifest(row, name, reference, signal));
        return { stale: false };
      } catch (error) {
        if (present === undefined || isGantryError(error, 'not-found')) throw error;
        onStale(`${name}:${reference}`, messageOf(error));
        return { stale: true };
      }
    },
    async blob(caller, name, digest, signal) {
      const row = await find(name);
      const repository = await repositories.find(name);
      if (row === undefined || repository === undefined || !mayFetch(row, caller)) return;
      if ((await named.get(repository.id, digest)) === undefined) return;
      try {
        await blobs.stat(repository, digest);
        return;
      } catch (error) {
        if (!isGantryError(error, 'not-found')) throw error;
      }
      await once(`${name} ${digest}`, async () => {
        const { ref, options } = upstreamOf(row, name, signal);
        const source = await client.getBlob(ref, digest, options);
        const { size } = await store.ingest(source as AsyncIterable<Uint8Array>, { digest });
        await blobs.link(targetOf(row, name), { digest, size }, async () => {
          // Collected between the two: fetched again.
          if ((await store.stat(digest)) === undefined)
            await store.ingest((await client.getBlob(ref, digest, options)) as AsyncIterable<Uint8Array>, { digest });
        });
      });
    },
  };
}

const mirrorOf = (row: Record<string, unknown>): Mirror => ({
  name: String(row.name),
  upstream: String(row.upstream),
  username: row.username === null ? undefined : String(row.username),
  ttl: Number(row.ttl),
  anonymous: row.anonymous === 1,
});
