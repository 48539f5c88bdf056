import { createHash } from 'node:crypto';
import { GantryError } from '#errors/index.ts';
import { type Descriptor, digestOf, isDigest, parseDigest } from '#oci/index.ts';
import type { PushTarget } from './access.ts';
import { type BlobStore, once } from './blob-store.ts';
import { addUntilKept } from './blobs.ts';
import type { Database } from './database.ts';
import type { KeyedLock } from './keyed-lock.ts';
import { type ManifestPart, manifestLimit, readManifest } from './manifest-document.ts';
import type { Quotas } from './quotas.ts';
import type { Repositories, Repository } from './repositories.ts';

export interface StoredManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  /** Bytes of the manifest and all that it names, each once. */
  readonly imageSize: number;
}

/** Manifests and their tags. The bytes are kept and given back exactly as they came. */
export interface Manifests {
  /**
   * Stores under a tag or under the digest of the bytes; all it names must be in the repository already. Whether a tag
   * may be moved is decided in the transaction that moves it.
   * @throws GantryError invalid (codes `manifest-invalid`, `tag-invalid`, `digest-invalid`), not-found
   * (`manifest-blob-unknown`), exhausted (`manifest-too-large`), forbidden (`denied`, `quota-exceeded`), conflict
   * (`tag-immutable`)
   */
  put(
    target: PushTarget,
    reference: string,
    contentType: string | undefined,
    bytes: Buffer,
  ): Promise<{ digest: string; subject: string | undefined }>;
  /** By tag or digest. @throws GantryError not-found (code `manifest-unknown`), invalid (`tag-invalid`) */
  find(repository: Repository, reference: string): Promise<StoredManifest>;
  read(manifest: Pick<StoredManifest, 'digest'>): Promise<Buffer>;
  /** The tags of a digest, in the order of their names. */
  tagsOf(repository: Repository, digest: string): Promise<readonly string[]>;
  /** A digest goes with all its tags; a tag goes alone. @throws as `find`, conflict (`tag-immutable`) */
  delete(repository: Repository, reference: string): Promise<void>;
  /** Manifests whose subject is `digest` (distribution-spec: listing referrers). */
  referrers(
    repository: Repository,
    digest: string,
  ): Promise<readonly (Descriptor & { readonly artifactType?: string })[]>;
}

const cacheLimit = 32 << 20;

export interface ManifestOptions {
  /** Whether an index may come before the manifests that it names. */
  readonly sparseIndexes?: boolean;
}

export function createManifests(
  {
    db,
    store,
    repositories,
    quotas,
    lock,
  }: {
    readonly db: Database;
    readonly store: Pick<BlobStore, 'ingest' | 'read' | 'keep'>;
    readonly repositories: Repositories;
    readonly quotas: Pick<Quotas, 'check'>;
    readonly lock: KeyedLock;
  },
  { sparseIndexes = false }: ManifestOptions = {},
): Manifests {
  const byDigest = db.prepare(
    'SELECT digest, media_type, size, image_size FROM manifests WHERE repository = ? AND digest = ?',
  );
  const byTag = db.prepare(
    `SELECT m.digest, media_type, size, image_size FROM tags t JOIN manifests m ON m.repository = t.repository AND m.digest = t.digest
       WHERE t.repository = ? AND t.name = ?`,
  );
  const blobPart = db.prepare('SELECT size, size AS image_size FROM blobs WHERE repository = ? AND digest = ?');
  const manifestPart = db.prepare('SELECT size, image_size FROM manifests WHERE repository = ? AND digest = ?');
  const insert = db.prepare(
    `INSERT INTO manifests (repository, digest, media_type, size, image_size, subject, artifact_type, annotations, pushed)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (repository, digest) DO UPDATE SET pushed = excluded.pushed`,
  );
  const insertPart = db.prepare(
    'INSERT INTO manifest_parts (repository, manifest, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const setTag = db.prepare(
    `INSERT INTO tags (repository, name, digest, updated) VALUES (?, ?, ?, ?)
       ON CONFLICT (repository, name) DO UPDATE SET digest = excluded.digest, updated = excluded.updated`,
  );
  const drop = db.prepare('DELETE FROM manifests WHERE repository = ? AND digest = ?');
  const dropTag = db.prepare('DELETE FROM tags WHERE repository = ? AND name = ?');
  const tagsOf = db.prepare('SELECT name FROM tags WHERE repository = ? AND digest = ? ORDER BY name LIMIT 100');
  const bySubject = db.prepare('SELECT * FROM manifests WHERE repository = ? AND subject = ? ORDER BY digest');
  const cache = createCache();

  /** Checks that all parts are there in the size named; the size of the whole image in bytes. */
  const sizeOfParts = async (target: PushTarget, parts: readonly ManifestPart[]): Promise<number> => {
    const repository = await repositories.find(target.name);
    const seen = new Set<string>();
    let total = 0;
    for (const { kind, digest, size } of parts) {
      const one = kind === 'blob' ? blobPart : manifestPart;
      const row = repository === undefined ? undefined : await one.get(repository.id, digest);
      if (row === undefined && target.partsLater === true) {
        if (!seen.has(digest)) total += size;
        seen.add(digest);
        continue;
      }
      if (row === undefined && kind === 'manifest' && sparseIndexes) continue;
      if (row === undefined)
        throw new GantryError('not-found', `${target.name} has no ${kind} ${digest}; push it first`, {
          code: 'manifest-blob-unknown',
        });
      if (Number(row.size) !== size)
        throw new GantryError('invalid', `${digest} has ${String(row.size)} bytes, the manifest says ${size}`, {
          code: 'manifest-invalid',
        });
      if (!seen.has(digest)) total += Number(row.image_size);
      seen.add(digest);
    }
    return total;
  };

  const find = async (repository: Repository, reference: string): Promise<StoredManifest> => {
    checkReference(reference);
    const row = await (isDigest(reference) ? byDigest : byTag).get(repository.id, reference);
    if (row === undefined)
      throw new GantryError('not-found', `${repository.name} has no manifest ${reference}`, {
        code: 'manifest-unknown',
      });
    return {
      digest: String(row.digest),
      mediaType: String(row.media_type),
      size: Number(row.size),
      imageSize: Number(row.image_size),
    };
  };

  /** Who may add tags moves none, and an immutable one is moved by nobody (GHSA of zot: CVE-2026-31801). */
  const checkMove = async (target: PushTarget, repository: Repository, tag: string, digest: string): Promise<void> => {
    const there = await byTag.get(repository.id, tag);
    if (there === undefined || there.digest === digest) return;
    if (repository.immutable) throw immutable(repository, tag);
    if (!target.mayOverwrite)
      throw new GantryError('forbidden', `${target.name}:${tag} is there, and you may add tags but not move them`, {
        code: 'denied',
      });
  };

  return {
    find,
    async put(target, reference, contentType, bytes) {
      checkReference(reference);
      if (bytes.length > manifestLimit)
        throw new GantryError(
          'exhausted',
          `the manifest has ${bytes.length} bytes; at most ${manifestLimit} are taken`,
          {
            code: 'manifest-too-large',
          },
        );
      const document = readManifest(contentType, bytes);
      const digest = isDigest(reference) ? sameAlgorithm(reference, bytes) : digestOf(bytes);
      if (isDigest(reference) && reference !== digest)
        throw new GantryError('invalid', `the manifest's bytes are ${digest}, not ${reference}`, {
          code: 'digest-invalid',
        });
      await sizeOfParts(target, document.parts);
      await lock.run(digest, async () => {
        const add = () => store.ingest(once(bytes), { digest });
        const keep = async (): Promise<boolean> => {
          if (!(await store.keep(digest))) return false;
          const imageSize = bytes.length + (await sizeOfParts(target, document.parts));
          const repository = await repositories.ensure(target.owner, target.name);
          const { mediaType, subject = null, artifactType = null, annotations } = document;
          await insert.run(
            repository.id,
            digest,
            mediaType,
            bytes.length,
            imageSize,
            subject,
            artifactType,
            annotations === undefined ? null : JSON.stringify(annotations),
            Date.now(),
          );
          for (const part of document.parts) await insertPart.run(repository.id, digest, part.digest);
          if (!isDigest(reference)) {
            await checkMove(target, repository, reference, digest);
            await setTag.run(repository.id, reference, digest, Date.now());
          }
          await quotas.check(target.owner);
          await repositories.touch(repository);
          return true;
        };
        await addUntilKept(digest, add, () => db.transact([digest, `namespace ${target.owner}`], keep));
      });
      cache.put(digest, bytes);
      return { digest, subject: document.subject };
    },
    async read({ digest }) {
      const known = cache.get(digest);
      if (known !== undefined) return known;
      const bytes = await store.read(digest);
      cache.put(digest, bytes);
      return bytes;
    },
    tagsOf: async (repository, digest) => (await tagsOf.all(repository.id, digest)).map(({ name }) => String(name)),
    async delete(repository, reference) {
      const { digest } = await find(repository, reference);
      await db.transact([`namespace ${repository.owner}`], async () => {
        const [tag] = isDigest(reference) ? await tagsOf.all(repository.id, digest) : [{ name: reference }];
        if (tag !== undefined && (await repositories.find(repository.name))?.immutable)
          throw immutable(repository, tag.name);
        if (isDigest(reference)) await drop.run(repository.id, digest);
        else await dropTag.run(repository.id, reference);
        await repositories.touch(repository);
      });
    },
    async referrers(repository, digest) {
      parseDigest(digest);
      return (await bySubject.all(repository.id, digest)).map((row) => ({
        mediaType: String(row.media_type),
        digest: String(row.digest),
        size: Number(row.size),
        ...(row.artifact_type === null ? {} : { artifactType: String(row.artifact_type) }),
        ...(row.annotations === null
          ? {}
          : { annotations: JSON.parse(String(row.annotations)) as Record<string, string> }),
      }));
    },
  };
}

const immutable = ({ name }: Repository, tag: unknown) =>
  new GantryError('conflict', `${name}:${String(tag)} stays as it is: the tags of ${name} are immutable`, {
    code: 'tag-immutable',
  });

/** A tag (distribution-spec: pulling manifests), or a digest. */
function checkReference(reference: string): void {
  if (!reference.includes(':') && /^\w[\w.-]{0,127}$/.test(reference)) return;
  if (reference.includes(':')) parseDigest(reference);
  else
    throw new GantryError('invalid', `"${reference.slice(0, 130)}" is not a tag: letters, digits, "_", "." and "-"`, {
      code: 'tag-invalid',
    });
}

const sameAlgorithm = (digest: string, bytes: Buffer): string => {
  const { algorithm } = parseDigest(digest);
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
};

/** Bytes by digest never change, so they may be kept; the longest unused go first. */
function createCache() {
  const entries = new Map<string, Buffer>();
  let total = 0;
  return {
    get(digest: string): Buffer | undefined {
      const bytes = entries.get(digest);
      if (bytes === undefined) return undefined;
      entries.delete(digest);
      entries.set(digest, bytes);
      return bytes;
    },
    put(digest: string, bytes: Buffer): void {
      if (entries.has(digest)) return;
      entries.set(digest, bytes);
      total += bytes.length;
      for (const [oldest, dropped] of entries) {
        if (total <= cacheLimit) break;
        entries.delete(oldest);
        total -= dropped.length;
      }
    },
  };
}
