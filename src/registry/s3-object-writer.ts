import type { S3Objects } from './s3-objects.ts';

/** All parts but the last have this size; 10,000 of them, the most there may be, are 78 GiB. */
export const partSize = 8 << 20;
/** Parts on their way at once, so that memory is bounded and the network is not idle. */
const partsAtOnce = 2;

/** Where an object's parts stand. */
export interface Multipart {
  readonly upload: string;
  readonly parts: { number: number; etag: string; size: number }[];
}

/** Cuts what it is given into parts of one object. What is less than a part waits in memory. */
export interface ObjectWriter {
  /** The buffer is the writer's from now on. */
  write(chunk: Buffer): Promise<void>;
  /** Waits for the parts on their way; gives what is less than a part, and is then not used any more. */
  rest(): Promise<{ readonly multipart: Multipart | undefined; readonly rest: Buffer }>;
  /** Makes the whole an object; its key. */
  finish(): Promise<string>;
  /** Nothing stays. */
  abandon(): Promise<void>;
}

export function createObjectWriter(
  objects: S3Objects,
  key: string,
  before?: { readonly multipart: Multipart | undefined; readonly rest: Buffer },
): ObjectWriter {
  let multipart = before?.multipart;
  let waiting: Buffer[] = before === undefined || before.rest.length === 0 ? [] : [before.rest];
  let size = before?.rest.length ?? 0;
  const underway = new Set<Promise<void>>();
  let failed: { readonly error: unknown } | undefined;

  const throwIfFailed = () => {
    if (failed !== undefined) throw failed.error;
  };
  const sendPart = async (bytes: Buffer): Promise<void> => {
    multipart ??= { upload: await objects.begin(key), parts: [] };
    const { upload, parts } = multipart;
    const entry = { number: parts.length + 1, etag: '', size: bytes.length };
    parts.push(entry);
    const sending = objects
      .part(key, upload, entry.number, bytes)
      .then(
        (etag) => {
          entry.etag = etag;
        },
        (error: unknown) => {
          failed ??= { error };
        },
      )
      .finally(() => underway.delete(sending));
    underway.add(sending);
    if (underway.size >= partsAtOnce) await Promise.race(underway);
    throwIfFailed();
  };
  const settle = async () => {
    await Promise.all(underway);
    throwIfFailed();
  };

  return {
    async write(chunk) {
      waiting.push(chunk);
      size += chunk.length;
      while (size >= partSize) {
        const all = Buffer.concat(waiting, size);
        waiting = size === partSize ? [] : [all.subarray(partSize)];
        size -= partSize;
        await sendPart(all.subarray(0, partSize));
      }
    },
    async rest() {
      await settle();
      return { multipart, rest: Buffer.concat(waiting, size) };
    },
    async finish() {
      if (multipart === undefined) {
        await objects.put(key, Buffer.concat(waiting, size));
        return key;
      }
      if (size > 0) await sendPart(Buffer.concat(waiting, size));
      await settle();
      await objects.complete(key, multipart.upload, multipart.parts);
      return key;
    },
    async abandon() {
      await Promise.all(underway);
      if (multipart !== undefined) await objects.abort(key, multipart.upload);
    },
  };
}
