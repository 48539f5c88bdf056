import { GantryError } from '#errors/index.ts';
import { createTarDecoder, type TarEvent } from './tar-decoder.ts';
import type { TarHeader } from './tar-header.ts';

/** An entry of an archive that is being read. Its content is gone once the next entry is asked for. */
export interface TarEntry extends TarHeader {
  /** The content, once; skipped where it is not read. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The content whole. @throws GantryError exhausted where it has more than `limit` bytes */
  bytes(limit: number): Promise<Buffer>;
}

/**
 * Reads a tar archive (ustar, GNU, PAX) entry by entry.
 * @throws GantryError corrupt (a bad checksum, number or record; cut off in an entry), unsupported (sparse, unknown types)
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void> {
  const events = decodeAll(source);
  let current: object | undefined;

  async function* content(token: object): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      if (current !== token) throw new GantryError('internal', "a tar entry's content was read after the next entry");
      const next = await events.next();
      if (next.done || next.value.kind !== 'data') {
        current = undefined;
        return;
      }
      yield next.value.bytes;
    }
  }

  try {
    for (let next = await events.next(); !next.done; next = await events.next()) {
      const event = next.value;
      if (event.kind !== 'entry') continue;
      const token = {};
      current = token;
      const body = content(token);
      yield { ...event.header, body, bytes: (limit) => collect(event.header, body, limit) };
      // A content that was not read to its end is skipped by this loop.
      current = undefined;
    }
  } finally {
    await events.return();
  }
}

async function* decodeAll(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEvent, void> {
  const decoder = createTarDecoder();
  for await (const chunk of source) yield* decoder.decode(chunk);
  decoder.finish();
}

async function collect(header: TarHeader, body: AsyncIterable<Uint8Array>, limit: number): Promise<Buffer> {
  if (header.size > limit)
    throw new GantryError('exhausted', `tar: "${header.name}" has ${header.size} bytes; at most ${limit} are read`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
