import { createReadStream } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { isGantryError } from '#errors/index.ts';
import { parseDigest } from '#oci/index.ts';

/** Less than this is fetched again rather than kept. */
const worthKeeping = 1 << 20;
const partialName = /^partial-(sha256|sha512)-([0-9a-f]+)$/;

/** The first bytes of a layer whose download broke off, in the content store's staging directory: kept for a day. */
export interface PartialDownload {
  readonly file: string;
  /** Bytes that are there. */
  readonly have: number;
}

/** What is there of a blob; what cannot be the beginning of `size` bytes goes. */
export async function findPartial(staging: string, digest: string, size: number): Promise<PartialDownload> {
  const { algorithm, hex } = parseDigest(digest);
  const file = `${staging}/partial-${algorithm}-${hex}`;
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  const have = found?.size ?? 0;
  if (have > 0 && have < size) return { file, have };
  await rm(file, { force: true });
  return { file, have: 0 };
}

/** The whole blob: what is there, then the rest of `fetch`. */
export async function* resumed(
  { file, have }: PartialDownload,
  fetch: (start: number) => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (have > 0) yield* createReadStream(file, { end: have - 1, highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
  yield* fetch(have);
}

/** After a download that failed: its bytes stay for the next one, unless they are few or may be wrong. */
export async function keepPartial({ file }: PartialDownload, error: unknown): Promise<void> {
  const wrong = ['corrupt', 'invalid', 'exhausted', 'unsupported'] as const;
  const size = (await stat(file).catch(() => undefined))?.size ?? 0;
  if (size < worthKeeping || wrong.some((kind) => isGantryError(error, kind))) await rm(file, { force: true });
}

/** Removes what is kept and not `wanted`. When the store is opened: what is not worth keeping. */
export async function sweepPartials(
  staging: string,
  wanted: (digest: string, size: number) => boolean = (_, size) => size >= worthKeeping,
): Promise<void> {
  for (const name of await readdir(staging)) {
    const [, algorithm, hex] = partialName.exec(name) ?? [];
    if (hex === undefined) continue;
    const size = (await stat(`${staging}/${name}`).catch(() => undefined))?.size ?? 0;
    if (!wanted(`${algorithm}:${hex}`, size)) await rm(`${staging}/${name}`, { force: true });
  }
}
