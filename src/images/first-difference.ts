import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { readTar, type TarEntry } from '#tar/index.ts';

/** All that counts of an entry as one text. Of a directory's times only the blob's maker could say what they should be. */
async function factsOf(entry: TarEntry): Promise<string> {
  const { type, mode, uid, gid, size, linkName, major, minor, mtime, xattrs } = entry;
  const hash = createHash('sha256');
  for await (const chunk of entry.body) hash.update(chunk);
  const times = type === 'directory' ? '' : `${mtime.seconds}.${mtime.nanoseconds}`;
  const attributes = [...xattrs].map(([name, value]) => `${name}=${Buffer.from(value).toString('hex')}`).toSorted();
  return JSON.stringify([type, mode, uid, gid, size, linkName, major, minor, times, attributes, hash.digest('hex')]);
}

/** The first entry, in words, in which the second layer tar is not the first; undefined where they are the same. */
export async function firstDifference(wanted: Readable, found: Readable): Promise<string | undefined> {
  const facts = new Map<string, string>();
  for await (const entry of readTar(wanted)) facts.set(entry.name, await factsOf(entry));
  let difference: string | undefined;
  for await (const entry of readTar(found)) {
    const expected = facts.get(entry.name);
    if (expected === undefined) difference ??= `"${entry.name}" should not be there`;
    else if (expected !== (await factsOf(entry))) difference ??= `"${entry.name}" differs`;
    facts.delete(entry.name);
  }
  const [missing] = facts.keys();
  return difference ?? (missing === undefined ? undefined : `"${missing}" is missing`);
}
