import { createHash } from 'node:crypto';
import { GantryError } from '#errors/index.ts';
import { closeFd, showName } from '#linux/index.ts';
import { bytesOf, xattrsOf } from './file-bytes.ts';
import { type Selected, type SourceTree, type TreeEntry, walk } from './source-tree.ts';

export interface SelectionDigest {
  readonly digest: string;
  /** Each file and directory with a short digest of its own, to tell which of them changed. */
  readonly files: readonly (readonly [path: string, digest: string])[];
}

/**
 * A digest of what would be copied: names, types, modes, owners (where they are kept), contents, link targets and
 * extended attributes, and no times. The same files give the same digest whatever tree they are in.
 * @throws GantryError invalid where a literal source is wholly ignored, or holds what no image may get from a context
 */
export async function digestSelection(
  tree: SourceTree,
  sources: readonly Selected[],
  signal: AbortSignal | undefined,
): Promise<SelectionDigest> {
  const hash = createHash('sha256');
  const files: (readonly [string, string])[] = [];
  for (const source of sources) {
    let empty = true;
    for await (const { step, entry } of walk(tree, source, signal)) {
      empty = false;
      if (step === 'leave') continue;
      const facts = JSON.stringify(await factsOf(tree, entry, signal));
      hash.update(`${facts}\n`);
      const path = [source.path, entry.path].filter((part) => part !== '').join('/');
      files.push([path, createHash('sha256').update(facts).digest('base64url').slice(0, 16)]);
    }
    if (empty && source.excludes === undefined)
      throw new GantryError(
        'invalid',
        `COPY failed: file not found in ${tree.called} or excluded by .dockerignore: stat ${source.path}: file does not exist`,
        { code: 'source-not-found' },
      );
  }
  return { digest: `sha256:${hash.digest('hex')}`, files };
}

async function factsOf(tree: SourceTree, entry: TreeEntry, signal: AbortSignal | undefined): Promise<unknown[]> {
  const { status } = entry;
  const facts: unknown[] = [
    entry.path === '' && status.type === 'directory' ? '' : entry.path || showName(entry.name),
    status.type,
    status.mode,
  ];
  if (tree.keepsOwners) facts.push(status.uid, status.gid);
  switch (status.type) {
    case 'symlink':
      facts.push(showName(entry.link()));
      break;
    case 'character-device':
    case 'block-device':
      facts.push(status.rdevMajor, status.rdevMinor);
      break;
    case 'file':
    case 'directory': {
      const known = status.type === 'file' ? tree.digests?.find(status.identity) : undefined;
      if (known !== undefined) {
        facts.push([], known);
        break;
      }
      const fd = entry.open();
      try {
        facts.push(xattrsOf(fd).map(([name, value]) => [name, value.toString('base64')]));
        if (status.type === 'directory') break;
        const content = createHash('sha256');
        for await (const chunk of bytesOf(fd, status.size, signal)) content.update(chunk);
        const digest = content.digest('hex');
        tree.digests?.note(status.identity, digest);
        facts.push(digest);
      } finally {
        closeFd(fd);
      }
    }
  }
  return facts;
}
