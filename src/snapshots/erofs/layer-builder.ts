import { GantryError, isGantryError } from '#errors/index.ts';
import { encodeDevice } from '#linux/index.ts';
import { decodeName, encodeName, type TarEvent, type TarHeader } from '#tar/index.ts';
import { baseOf, cleanEntryPath, directoryOf, joinPath } from '../entry-path.ts';
import { missingLinkTarget, unpackError } from '../unpack-error.ts';
import {
  isAufsMetadata,
  isLayerXattr,
  isWhiteoutHeader,
  OPAQUE_NAME,
  OPAQUE_XATTR,
  WHITEOUT_PREFIX,
} from '../whiteouts.ts';
import type { BlockFile } from './block-file.ts';
import { LayerTree, type NewNode, type NodeType } from './layer-tree.ts';
import { BLOCK } from './on-disk.ts';
import { type MakeDirectory, resolvePath } from './resolve-path.ts';

const MAX_TARGET = 4095;

/** A layer's tree as its tar made it, and what of it depends on the layers below. */
export interface BuiltLayer {
  readonly tree: LayerTree;
  /** Bytes of file contents. */
  readonly size: number;
  /** Directories that were made because an entry is below them, though the archive has none for them. */
  readonly implied: ReadonlySet<number>;
  /** Entries that were made as whiteouts; a later one may have replaced one. */
  readonly whiteouts: readonly number[];
}

/**
 * Makes a layer's tree of a tar's events, and writes the files' contents as they come: the same as createExtractor with
 * `whiteouts: 'overlay'` makes on disk (extractor.ts), where nothing can be outside as there is no outside.
 */
export function createLayerBuilder(file: BlockFile): {
  /** @throws GantryError as LayerWriter.unpack */
  take(event: TarEvent): void;
  readonly built: BuiltLayer;
} {
  const tree = new LayerTree();
  const implied = new Set<number>([tree.root]);
  const whiteouts: number[] = [];
  let size = 0;
  let open = false;
  /** The last entry's directory: archives go through a tree in order. */
  let parent: { readonly path: string; readonly directory: number } | undefined;
  let about = '';

  const setOpaque = (directory: number): void => tree.setAttribute(directory, OPAQUE_XATTR, Buffer.from('y'));
  const shown = (directory: number, name: Uint8Array): string => joinPath(tree.path(directory), decodeName(name));

  function add(type: NodeType, header: TarHeader, more: Partial<NewNode> = {}): number {
    const { uid, gid, mode, mtime } = header;
    const node = tree.add({ type, mode: type === 'symlink' ? 0o777 : mode, uid, gid, ...mtime, ...more });
    setAttributes(node, header, type === 'file' || type === 'directory');
    return node;
  }

  /** The kernel has user.* on files and directories only (xattr(7)). */
  function setAttributes(node: number, { xattrs }: TarHeader, user: boolean): void {
    for (const [key, value] of xattrs)
      if (isLayerXattr(key) && (user || !key.startsWith('user.'))) tree.setAttribute(node, key, value);
  }

  function place(directory: number, name: Buffer, node: number): number {
    const existing = tree.find(directory, name);
    if (existing !== 0) tree.unlink(existing);
    return tree.link(directory, name, node);
  }

  function newDirectory(directory: number, name: Buffer, existing: number | undefined): number {
    const node = tree.add({ type: 'directory', mode: 0o755, uid: 0, gid: 0, seconds: 0, nanoseconds: 0 });
    place(directory, name, node);
    // It hides what lower layers have in its place, as what it replaces did.
    if (existing !== undefined) setOpaque(node);
    return node;
  }

  const makeDirectory: MakeDirectory = (directory, name, existing) => {
    if (existing !== undefined && !tree.isWhiteout(tree.nodeOf(existing)))
      throw new GantryError('corrupt', `"${shown(directory, name)}" is no directory, and has entries below it`);
    const node = newDirectory(directory, name, existing);
    implied.add(node);
    return node;
  };

  function parentOf(path: string): number {
    const above = directoryOf(path);
    if (parent?.path !== above) parent = { path: above, directory: resolvePath(tree, above, makeDirectory) };
    return parent.directory;
  }

  function describe(directory: number, header: TarHeader): void {
    const { mode, uid, gid, mtime } = header;
    tree.describe(directory, { mode, uid, gid, ...mtime });
    setAttributes(directory, header, true);
    implied.delete(directory);
  }

  function takeEntry(header: TarHeader): void {
    const path = cleanEntryPath(header.name);
    if (path === '') {
      if (header.type !== 'directory')
        throw new GantryError('invalid', `the root directory cannot be replaced by a ${header.type}`);
      describe(tree.root, header);
      return;
    }
    const directory = parentOf(path);
    const base = baseOf(path);
    if (base.startsWith(WHITEOUT_PREFIX)) takeWhiteout(directory, base);
    else takeNode(directory, encodeName(base), header);
  }

  function takeNode(directory: number, name: Buffer, header: TarHeader): void {
    switch (header.type) {
      case 'file': {
        file.align();
        const block = header.size === 0 ? 0 : file.position / BLOCK;
        place(directory, name, add('file', header, { size: header.size, place: block }));
        size += header.size;
        open = true;
        return;
      }
      case 'directory': {
        const entry = tree.find(directory, name);
        const there = entry !== 0 && tree.isDirectory(tree.nodeOf(entry));
        describe(there ? tree.nodeOf(entry) : newDirectory(directory, name, entry === 0 ? undefined : entry), header);
        return;
      }
      case 'hardlink':
        takeHardLink(directory, name, header.linkName);
        return;
      case 'symlink': {
        const target = encodeName(header.linkName);
        if (target.length === 0) throw new GantryError('corrupt', 'a symlink to nothing');
        if (target.length > MAX_TARGET)
          throw new GantryError('invalid', `a link's target of ${target.length} bytes; ${MAX_TARGET} is the most`);
        place(directory, name, add('symlink', header, { target }));
        return;
      }
      default: {
        const entry = place(
          directory,
          name,
          add(header.type, header, { place: encodeDevice(header.major, header.minor) }),
        );
        // To an overlay it is a whiteout, whatever the archive meant.
        if (isWhiteoutHeader(header)) whiteouts.push(entry);
      }
    }
  }

  /** Only to names that are there already: a layer of an overlay has no link into the layers below it. */
  function takeHardLink(directory: number, name: Buffer, linkName: string): void {
    const target = cleanEntryPath(linkName);
    const above = target === '' ? tree.root : linkParent(target, linkName);
    const from = target === '' ? 0 : tree.find(above, encodeName(baseOf(target)));
    const replaced = tree.find(directory, name);
    if (from === 0 || tree.isDirectory(tree.nodeOf(from)) || isBelow(above, tree.nodeOf(replaced)))
      throw missingLinkTarget(linkName);
    if (replaced !== from) place(directory, name, tree.nodeOf(from));
  }

  function isBelow(directory: number, other: number): boolean {
    for (let at = directory; at !== tree.root; at = tree.parent(at)) if (at === other) return true;
    return false;
  }

  function linkParent(target: string, linkName: string): number {
    try {
      return resolvePath(tree, directoryOf(target));
    } catch (error) {
      if (isGantryError(error, 'not-found') || isGantryError(error, 'invalid'))
        throw missingLinkTarget(linkName, error);
      throw error;
    }
  }

  /** As takeWhiteout of take-whiteout.ts for an overlay: it hides what lower layers have, nothing of its own. */
  function takeWhiteout(directory: number, base: string): void {
    if (isAufsMetadata(base)) return;
    if (base === OPAQUE_NAME) {
      setOpaque(directory);
      return;
    }
    const hidden = base.slice(WHITEOUT_PREFIX.length);
    if (hidden === '' || hidden === '.' || hidden === '..')
      throw new GantryError('invalid', `a whiteout of "${hidden}" hides nothing that a layer can have`);
    const existing = tree.find(directory, encodeName(hidden));
    if (existing === 0) whiteouts.push(addWhiteout(tree, directory, encodeName(hidden)));
    else if (tree.isDirectory(tree.nodeOf(existing))) setOpaque(tree.nodeOf(existing));
  }

  return {
    take(event) {
      try {
        if (event.kind === 'data') {
          if (open) file.append(event.bytes);
        } else if (event.kind === 'end') open = false;
        else {
          about = event.header.name;
          takeEntry(event.header);
        }
      } catch (error) {
        throw unpackError(error, about);
      }
    },
    get built() {
      return { tree, size, implied, whiteouts };
    },
  };
}

/** Makes an overlay's whiteout of a name that is free. */
export const addWhiteout = (tree: LayerTree, directory: number, name: Uint8Array): number =>
  tree.link(
    directory,
    name,
    tree.add({ type: 'character-device', mode: 0, uid: 0, gid: 0, seconds: 0, nanoseconds: 0 }),
  );
