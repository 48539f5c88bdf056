import { createReadStream } from 'node:fs';
import { closeFd } from '#linux/index.ts';
import type { FetchedFile } from './add-remote.ts';
import { type Destination, makeRoom, placeOf, writeFileAt } from './copy-files.ts';
import type { InlineFile } from './file-request.ts';
import { changedMode } from './mode-change.ts';

const root = { uid: 0, gid: 0 };

/** A file that ADD fetched: mode 0600 unless `--chmod` says otherwise. */
export const writeFetched = ({ name, path, mtime }: FetchedFile, destination: Destination): Promise<void> =>
  writeNew(name, createReadStream(path), destination, 0o600, mtime);

/** Heredocs of COPY and ADD, as files named by their delimiters. */
export async function writeInline(files: readonly InlineFile[], destination: Destination): Promise<void> {
  for (const { name, body } of files)
    await writeNew(name, bytes(body), destination, 0o644, { seconds: 0, nanoseconds: 0 });
}

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

async function writeNew(
  name: string,
  content: AsyncIterable<Uint8Array>,
  destination: Destination,
  mode: number,
  mtime: FetchedFile['mtime'],
): Promise<void> {
  const place = placeOf(destination, name);
  try {
    makeRoom(place.fd, place.name);
    await writeFileAt(place.fd, place.name, content, {
      owner: destination.owner ?? root,
      mode: changedMode(mode, destination.mode, false),
      mtime,
    });
  } finally {
    closeFd(place.fd);
  }
}
