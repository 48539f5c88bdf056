import type { Column } from './column.ts';
import type { LayerTree } from './layer-tree.ts';
import { BLOCK, DIRENT, direntType } from './on-disk.ts';

interface Item {
  readonly name: Buffer;
  readonly node: number;
}

const DOT = Buffer.from('.');
const DOTS = Buffer.from('..');

/** A directory's entries in the order of their names' bytes, as the kernel searches them. */
export const sortedEntries = (tree: LayerTree, directory: number): Uint32Array =>
  Uint32Array.from(tree.entries(directory)).sort((a, b) => tree.compareNames(a, b));

function* itemsOf(tree: LayerTree, directory: number, sorted: Uint32Array): Generator<Item, void> {
  const own = [
    { name: DOT, node: directory },
    { name: DOTS, node: tree.parent(directory) },
  ];
  for (const entry of sorted) {
    const name = tree.name(entry);
    for (let [first] = own; first !== undefined && first.name.compare(name) < 0; [first] = own) {
      yield first;
      own.shift();
    }
    yield { name, node: tree.nodeOf(entry) };
  }
  yield* own;
}

/** The items of each block: an entry and its name do not lie in two. */
function* blocksOf(items: Iterable<Item>): Generator<readonly Item[], void> {
  let block: Item[] = [];
  let used = 0;
  for (const item of items) {
    const need = DIRENT + item.name.length;
    if (used + need > BLOCK) {
      yield block;
      block = [];
      used = 0;
    }
    block.push(item);
    used += need;
  }
  yield block;
}

const usedBy = (items: readonly Item[]): number => items.reduce((sum, { name }) => sum + DIRENT + name.length, 0);

/** Bytes of a directory's content. */
export function directorySize(tree: LayerTree, directory: number, sorted: Uint32Array): number {
  let full = -BLOCK;
  let last = 0;
  for (const items of blocksOf(itemsOf(tree, directory, sorted))) {
    full += BLOCK;
    last = usedBy(items);
  }
  return full + last;
}

/** The content, block by block; the last is as long as what is in it. `numbers` has the nodes' numbers on disk. */
export function* directoryContent(
  tree: LayerTree,
  directory: number,
  sorted: Uint32Array,
  numbers: Column,
): Generator<Buffer, void> {
  let last: Buffer | undefined;
  for (const items of blocksOf(itemsOf(tree, directory, sorted))) {
    if (last !== undefined) yield Buffer.concat([last], BLOCK);
    last = encodeItems(tree, items, numbers);
  }
  if (last !== undefined) yield last;
}

function encodeItems(tree: LayerTree, items: readonly Item[], numbers: Column): Buffer {
  const bytes = Buffer.alloc(usedBy(items));
  let nameAt = items.length * DIRENT;
  for (const [index, { name, node }] of items.entries()) {
    const at = index * DIRENT;
    bytes.writeUInt32LE(numbers.at(node), at);
    bytes.writeUInt16LE(nameAt, at + 8);
    bytes.writeUInt8(direntType(tree.mode(node)), at + 10);
    bytes.set(name, nameAt);
    nameAt += name.length;
  }
  return bytes;
}
