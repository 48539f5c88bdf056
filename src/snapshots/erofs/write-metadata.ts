import type { BlockFile } from './block-file.ts';
import { Column, u32 } from './column.ts';
import { directoryContent, directorySize, sortedEntries } from './directory-content.ts';
import type { LayerTree } from './layer-tree.ts';
import { BLOCK, encodeAttributes, encodeInode, encodeSuperBlock, INODE, SLOT } from './on-disk.ts';

/** Where each node goes. A node's content here is what the tree writes: a directory's entries, a link's target. */
interface Arrangement {
  /** Nodes in the order they lie in, the root first. */
  readonly order: Column;
  readonly count: number;
  /** The numbers on disk: slots from the start of the metadata. */
  readonly numbers: Column;
  readonly contentSize: Column;
  /** First of the content's blocks. */
  readonly contentBlock: Column;
  /** 1 where the content's last piece lies behind the inode. */
  readonly inline: Column;
  /** Of directories. */
  readonly sorted: ReadonlyMap<number, Uint32Array>;
}

/**
 * Writes all that is no file's content behind those, and the first block in the end: blocks of directories, then the inodes
 * with their attributes and what is inline.
 */
export function writeMetadata(tree: LayerTree, file: BlockFile): void {
  file.align();
  const arranged = arrange(tree, file.position / BLOCK);
  for (let index = 0; index < arranged.count; index++) writeBlocks(tree, arranged, arranged.order.at(index), file);
  const metadata = file.position;
  for (let index = 0; index < arranged.count; index++) writeNode(tree, arranged, index, metadata, file);
  file.align();
  file.end(
    encodeSuperBlock({
      rootNode: arranged.numbers.at(tree.root),
      inodes: arranged.count,
      blocks: file.position / BLOCK,
      metadataBlock: metadata / BLOCK,
    }),
  );
}

function arrange(tree: LayerTree, firstBlock: number): Arrangement {
  const order = new Column(u32);
  const numbers = new Column(u32);
  const contentSize = new Column(u32);
  const contentBlock = new Column(u32);
  const inline = new Column(u32);
  const sorted = new Map<number, Uint32Array>();
  let count = 0;
  let block = firstBlock;
  let cursor = INODE; // a node number 0 would be an inode number 0, and no entry to readers of directories

  function place(node: number): void {
    order.set(count++, node);
    let content = 0;
    if (tree.isSymlink(node)) content = tree.size(node);
    else if (tree.isDirectory(node)) {
      const entries = sortedEntries(tree, node);
      sorted.set(node, entries);
      content = directorySize(tree, node, entries);
    }
    const head = INODE + encodeAttributes(tree.attributes(node)).length;
    const rest = content % BLOCK;
    const isInline = rest > 0 && head + rest <= BLOCK;
    let at = Math.ceil(cursor / INODE) * INODE;
    // All of an inode with something inline lies in one block.
    if (isInline && (at % BLOCK) + head + rest > BLOCK) at = Math.ceil(at / BLOCK) * BLOCK;
    numbers.set(node, at / SLOT);
    cursor = at + head + (isInline ? rest : 0);
    contentSize.set(node, content);
    contentBlock.set(node, block);
    inline.set(node, isInline ? 1 : 0);
    block += isInline ? Math.floor(content / BLOCK) : Math.ceil(content / BLOCK);
  }

  place(tree.root);
  for (let index = 0; index < count; index++)
    for (const entry of sorted.get(order.at(index)) ?? []) {
      const node = tree.nodeOf(entry);
      if (numbers.at(node) === 0) place(node); // else one more name of a file
    }
  return { order, count, numbers, contentSize, contentBlock, inline, sorted };
}

function* contentOf(tree: LayerTree, { sorted, numbers }: Arrangement, node: number): Generator<Buffer, void> {
  const entries = sorted.get(node);
  if (entries !== undefined) yield* directoryContent(tree, node, entries, numbers);
  else if (tree.isSymlink(node)) yield tree.target(node);
}

function writeBlocks(tree: LayerTree, arranged: Arrangement, node: number, file: BlockFile): void {
  const isInline = arranged.inline.at(node) === 1;
  if (isInline && arranged.contentSize.at(node) < BLOCK) return;
  for (const bytes of contentOf(tree, arranged, node)) if (!isInline || bytes.length === BLOCK) file.append(bytes);
  file.align();
}

function writeNode(tree: LayerTree, arranged: Arrangement, index: number, metadata: number, file: BlockFile): void {
  const node = arranged.order.at(index);
  const isInline = arranged.inline.at(node) === 1;
  const own = tree.isDirectory(node) || tree.isSymlink(node);
  const attributes = encodeAttributes(tree.attributes(node));
  file.padTo(metadata + arranged.numbers.at(node) * SLOT);
  file.append(
    encodeInode({
      mode: tree.mode(node),
      ...tree.owner(node),
      ...tree.time(node),
      size: own ? arranged.contentSize.at(node) : tree.size(node),
      links: tree.isDirectory(node) ? directoryLinks(tree, arranged.sorted.get(node)) : tree.links(node),
      place: own ? arranged.contentBlock.at(node) : tree.place(node),
      inline: isInline,
      number: index + 1,
      attributeBytes: attributes.length,
    }),
  );
  file.append(attributes);
  if (isInline) for (const bytes of contentOf(tree, arranged, node)) if (bytes.length < BLOCK) file.append(bytes);
}

/** Its name, its own `.`, and each `..` of those in it. */
function directoryLinks(tree: LayerTree, entries: Uint32Array | undefined): number {
  let links = 2;
  for (const entry of entries ?? []) if (tree.isDirectory(tree.nodeOf(entry))) links++;
  return links;
}
