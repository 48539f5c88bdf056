import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, type FileHandle, link, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GantryError, throwIfAborted, untilAborted } from '#errors/index.ts';
import { fileOperation } from '#linux/index.ts';
import { type ImageIndex, isDigest, mediaTypes, parseDigest } from '#oci/index.ts';
import type { ContentStore } from './content-store.ts';
import { createDirectorySync } from './directory-sync.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const READ_LIMIT = 8 << 20;

/**
 * A content store in `root` (made where missing), with what crashes left in `staging` swept: what is older than a day, and
 * where this process is the only one that opens it (`exclusive`) the store's own temporary files whatever their age.
 * @throws GantryError forbidden, exhausted (the directory cannot be written)
 */
export async function createContentStore({
  root,
  exclusive = false,
}: {
  readonly root: string;
  readonly exclusive?: boolean;
}): Promise<ContentStore> {
  const staging = `${root}/staging`;
  const syncDirectory = createDirectorySync();
  const path = (digest: string): string => {
    const { algorithm, hex } = parseDigest(digest);
    return `${root}/blobs/${algorithm}/${hex}`;
  };
  await fileOperation(`open the content store ${root}`, async () => {
    for (const directory of [staging, `${root}/blobs/sha256`, `${root}/blobs/sha512`])
      await mkdir(directory, { recursive: true, mode: 0o700 });
    await sweep(staging, exclusive);
    // image-spec: image-layout.md#oci-layout-file
    if (!(await exists(`${root}/oci-layout`)))
      await replaceFile(`${root}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
    if (!(await exists(`${root}/index.json`))) await replaceFile(`${root}/index.json`, indexText([]));
  });

  /** Replaces a file of the layout whole: a crash leaves the old or the new one. */
  async function replaceFile(target: string, text: string): Promise<void> {
    const temporary = `${staging}/${temporaryName()}`;
    try {
      await writeFile(temporary, text, { flush: true });
      await rename(temporary, target);
    } finally {
      await rm(temporary, { force: true });
    }
    await syncDirectory(dirname(target));
  }

  /** Moves a synced file to its blob's place. */
  async function publish(file: string, digest: string): Promise<void> {
    const target = path(digest);
    await rename(file, target);
    await syncDirectory(dirname(target));
  }

  return {
    root,
    staging,
    path,
    async stat(digest) {
      const target = path(digest);
      return fileOperation(`look for blob ${digest}`, async () => {
        const found = await stat(target).catch(ifMissing(undefined));
        return found === undefined ? undefined : { size: found.size };
      });
    },
    async open(digest, { start, end, signal } = {}) {
      const handle = await openBlob(path(digest), digest);
      return createReadStream('', {
        fd: handle,
        highWaterMark: 1 << 20,
        ...(start === undefined ? {} : { start }),
        ...(end === undefined ? {} : { end }),
        ...(signal === undefined ? {} : { signal }),
      });
    },
    async read(digest) {
      const handle = await openBlob(path(digest), digest);
      try {
        const { size } = await handle.stat();
        if (size > READ_LIMIT)
          throw new GantryError(
            'exhausted',
            `blob ${digest} has ${size} bytes; at most ${READ_LIMIT} are read at once`,
          );
        return await handle.readFile();
      } finally {
        await handle.close();
      }
    },
    async ingest(source, expected = {}, { signal } = {}) {
      const algorithm = expected.digest === undefined ? 'sha256' : parseDigest(expected.digest).algorithm;
      const temporary = `${staging}/${temporaryName()}`;
      return fileOperation(`store blob ${expected.digest ?? ''}`.trimEnd(), async () => {
        try {
          const blob = await writeHashed(temporary, source, { algorithm, limit: expected.size, signal });
          if (expected.size !== undefined && blob.size !== expected.size) throw sizeMismatch(expected, blob.size);
          if (expected.digest !== undefined && blob.digest !== expected.digest)
            throw new GantryError(
              'corrupt',
              `a blob should be ${expected.digest}, and is ${blob.digest}; nothing of it is kept`,
              {
                code: 'digest-mismatch',
              },
            );
          await publish(temporary, blob.digest);
          return blob;
        } finally {
          await rm(temporary, { force: true });
        }
      });
    },
    async adopt(file, { digest, size }, { keep = false } = {}) {
      path(digest);
      await fileOperation(`adopt ${file} as ${digest}`, async () => {
        const handle = await open(file, 'r+');
        try {
          const found = (await handle.stat()).size;
          if (found !== size) throw sizeMismatch({ digest, size }, found);
          await handle.sync();
        } finally {
          await handle.close();
        }
        if (!keep) return await publish(file, digest);
        const target = path(digest);
        await link(file, target).catch(ifThere);
        await syncDirectory(dirname(target));
      });
    },
    async delete(digest) {
      const target = path(digest);
      await fileOperation(`delete blob ${digest}`, () => rm(target, { force: true }));
    },
    async *list() {
      for (const algorithm of ['sha256', 'sha512']) {
        for (const hex of (await readdir(`${root}/blobs/${algorithm}`)).sort()) {
          const digest = `${algorithm}:${hex}`;
          if (!isDigest(digest)) continue;
          const found = await stat(`${root}/blobs/${algorithm}/${hex}`).catch(ifMissing(undefined));
          if (found !== undefined) yield { digest, size: found.size };
        }
      }
    },
    async writeIndex(manifests) {
      await fileOperation('write index.json', () => replaceFile(`${root}/index.json`, indexText(manifests)));
    },
  };
}

/** The bytes of an `index.json` (image-spec: image-layout.md#indexjson-file). */
export const indexText = (manifests: ImageIndex['manifests']): string =>
  JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests } satisfies ImageIndex);

const sizeMismatch = (expected: { digest?: string; size?: number }, found: number): GantryError =>
  new GantryError(
    'corrupt',
    `blob ${expected.digest ?? ''} should have ${expected.size} bytes, and has ${found}; nothing of it is kept`,
    { code: 'size-mismatch' },
  );

/** Writes a source to a new file, synced, and hashes it in the same pass; stops once it is longer than `limit`. */
async function writeHashed(
  file: string,
  source: AsyncIterable<Uint8Array>,
  options: { algorithm: string; limit: number | undefined; signal: AbortSignal | undefined },
): Promise<{ digest: string; size: number }> {
  const { algorithm, limit = Number.POSITIVE_INFINITY, signal } = options;
  throwIfAborted(signal);
  const hash = createHash(algorithm);
  let size = 0;
  const handle = await open(file, 'wx', 0o600);
  try {
    for await (const chunk of untilAborted(source, signal)) {
      const writing = writeFully(handle, chunk);
      hash.update(chunk);
      size += chunk.length;
      await writing;
      if (size > limit) break;
    }
    if (size <= limit) await handle.sync();
  } finally {
    await handle.close();
  }
  return { digest: `${algorithm}:${hash.digest('hex')}`, size };
}

async function writeFully(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let rest = chunk; rest.length > 0; ) rest = rest.subarray((await handle.write(rest)).bytesWritten);
}

async function openBlob(path: string, digest: string): Promise<FileHandle> {
  return fileOperation(`open blob ${digest}`, async () => {
    const handle = await open(path, 'r').catch(ifMissing(undefined));
    if (handle === undefined) throw new GantryError('not-found', `the content store has no blob ${digest}`);
    return handle;
  });
}

const temporaryName = (): string => `blob-${randomUUID()}`;

async function sweep(staging: string, exclusive: boolean): Promise<void> {
  for (const name of await readdir(staging)) {
    const path = `${staging}/${name}`;
    const found = await stat(path).catch(ifMissing(undefined));
    if (found === undefined) continue;
    const stale = Date.now() - found.mtimeMs > DAY_MS || (exclusive && name.startsWith('blob-'));
    if (stale) await rm(path, { recursive: true, force: true });
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const ifThere = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'EEXIST') throw error;
};

const ifMissing =
  <T>(value: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };
