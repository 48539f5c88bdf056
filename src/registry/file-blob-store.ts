import { constants, createReadStream, existsSync, rmSync } from 'node:fs';
import { access, type FileHandle, open, rm, stat, writeFile } from 'node:fs/promises';
import type { ContentStore } from '#content/index.ts';
import { GantryError } from '#errors/index.ts';
import type { BlobStore, UploadStore, UploadWriter } from './blob-store.ts';
import { uploadUnknown } from './upload-errors.ts';

/** After how many bytes of an upload the disk is asked to keep them. */
const syncAt = 8 << 20;

/** Blobs in an OCI image layout, uploads in its staging directory: what one machine needs, with nothing to install. */
export function createFileBlobStore(content: ContentStore): BlobStore {
  return {
    stat: (digest) => content.stat(digest),
    read: (digest) => content.read(digest),
    open: (digest, options) => content.open(digest, options),
    place: async (digest) => ({ kind: 'file', path: content.path(digest) }),
    ingest: (source, expected) => content.ingest(source, expected),
    keep: async (digest) => existsSync(content.path(digest)),
    // The transaction that writes keeps every other away: what is taken here is nobody's.
    async remove(digest) {
      rmSync(content.path(digest), { force: true });
      return async () => undefined;
    },
    list: () => content.list(),
    // The content store does, when it is opened.
    sweep: async () => undefined,
    uploads: createFileUploads(content),
    check: () => access(content.staging, constants.W_OK),
  };
}

function createFileUploads(content: Pick<ContentStore, 'staging' | 'adopt'>): UploadStore {
  const fileOf = (id: string) => `${content.staging}/upload-${id}`;
  const size = async (id: string): Promise<number> => {
    try {
      return (await stat(fileOf(id))).size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw uploadUnknown(id);
      throw error;
    }
  };
  const reader = (id: string, end: number): AsyncIterable<Buffer> =>
    end === 0 ? nothing() : createReadStream(fileOf(id), { end: end - 1, highWaterMark: 1 << 20 });
  return {
    create: (id) => writeFile(fileOf(id), '', { flag: 'wx', mode: 0o600 }),
    size,
    append: async (id, offset) => fileWriter(await open(fileOf(id), 'r+'), offset),
    read: async (id, end) => reader(id, end),
    async seal(id) {
      const end = await size(id);
      return () => reader(id, end);
    },
    adopt: (id, verified) => content.adopt(fileOf(id), verified, { keep: true }),
    drop: (id) => rm(fileOf(id), { force: true }),
  };
}

function fileWriter(file: FileHandle, offset: number): UploadWriter {
  let position = offset;
  let unsynced = 0;
  let syncing: Promise<unknown> | undefined;
  const close = async (): Promise<void> => {
    await syncing;
    await file.close();
  };
  return {
    async write(batch, size) {
      const { bytesWritten } = await file.writev(batch, position);
      if (bytesWritten !== size) throw new GantryError('exhausted', "the hub's disk took only a part of the upload");
      for (const chunk of batch) free(chunk);
      position += size;
      unsynced += size;
      // The disk works while the rest still comes, so that the end has little left to wait for.
      if (unsynced < syncAt || syncing !== undefined) return;
      unsynced = 0;
      syncing = file
        .datasync()
        .catch(() => undefined) // the sync before the blob is published tells of it
        .finally(() => {
          syncing = undefined;
        });
    },
    close,
    async undo() {
      await syncing;
      await file.truncate(offset);
      await close();
    },
  };
}

/** Gives a chunk's memory back now: left to the collector, a fast upload has it mark the whole heap every 30 MB or so. */
function free({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0);
}

async function* nothing(): AsyncIterable<Buffer> {}
