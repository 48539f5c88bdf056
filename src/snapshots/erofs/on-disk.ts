import { GantryError } from '#errors/index.ts';
import { crc32c } from './crc32c.ts';

/**
 * EROFS on disk (kernel: fs/erofs/erofs_fs.h, Documentation/filesystems/erofs.rst), of which only the plain part is
 * written: blocks of 4 KiB, extended inodes, contents uncompressed in one piece or (`inline`) with the last piece right
 * behind the inode, attributes there too. All numbers are little-endian.
 */
export const BLOCK = 4096;
/** A node number counts in these from the start of the metadata. */
export const SLOT = 32;
export const INODE = 64;
export const DIRENT = 12;
export const MAX_NAME = 255;

const SUPER_OFFSET = 1024;
const MAGIC = 0xe0f5e1e2;
const COMPAT_CHECKSUM = 1;
const COMPAT_MTIME = 2;
const BLOCK_BITS = 12;
const EXTENDED = 1;
const FLAT_PLAIN = 0 << 1;
const FLAT_INLINE = 2 << 1;

export interface SuperBlock {
  readonly rootNode: number;
  readonly inodes: number;
  /** Of the whole image. */
  readonly blocks: number;
  readonly metadataBlock: number;
}

/** The first block. */
export function encodeSuperBlock({ rootNode, inodes, blocks, metadataBlock }: SuperBlock): Buffer {
  const block = Buffer.alloc(BLOCK);
  const at = (offset: number): number => SUPER_OFFSET + offset;
  block.writeUInt32LE(MAGIC, at(0));
  block.writeUInt32LE(COMPAT_CHECKSUM | COMPAT_MTIME, at(8));
  block.writeUInt8(BLOCK_BITS, at(12));
  block.writeUInt16LE(rootNode, at(14));
  block.writeBigUInt64LE(BigInt(inodes), at(16));
  block.writeUInt32LE(blocks, at(36));
  block.writeUInt32LE(metadataBlock, at(40));
  block.writeUInt32LE(crc32c(block.subarray(SUPER_OFFSET)), at(4));
  return block;
}

export interface DiskInode {
  /** As st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly links: number;
  /** First block of the contents that are not inline, or a device's number. */
  readonly place: number;
  readonly inline: boolean;
  readonly number: number;
  /** Of the encoded attributes behind it. */
  readonly attributeBytes: number;
}

/** An extended inode. */
export function encodeInode(inode: DiskInode): Buffer {
  const bytes = Buffer.alloc(INODE);
  bytes.writeUInt16LE(EXTENDED | (inode.inline ? FLAT_INLINE : FLAT_PLAIN), 0);
  bytes.writeUInt16LE(inode.attributeBytes === 0 ? 0 : (inode.attributeBytes - ATTRIBUTE_HEADER) / 4 + 1, 2);
  bytes.writeUInt16LE(inode.mode, 4);
  bytes.writeBigUInt64LE(BigInt(inode.size), 8);
  bytes.writeUInt32LE(inode.place, 16);
  bytes.writeUInt32LE(inode.number, 20);
  bytes.writeUInt32LE(inode.uid, 24);
  bytes.writeUInt32LE(inode.gid, 28);
  bytes.writeBigInt64LE(BigInt(inode.seconds), 32);
  bytes.writeUInt32LE(inode.nanoseconds, 40);
  bytes.writeUInt32LE(inode.links, 44);
  return bytes;
}

const FILE_TYPES = new Map([
  [0o10, 1],
  [0o04, 2],
  [0o02, 3],
  [0o06, 4],
  [0o01, 5],
  [0o12, 7],
]);

export const direntType = (mode: number): number => FILE_TYPES.get(mode >> 12) ?? 0;

const ATTRIBUTE_HEADER = 12;
const ATTRIBUTE_ENTRY = 4;
const MAX_ATTRIBUTE = 0xffff;
/** Prefixes with a number of their own; the first that fits counts. */
const PREFIXES = [
  ['user.', 1],
  ['system.posix_acl_access', 2],
  ['system.posix_acl_default', 3],
  ['trusted.', 4],
  ['security.', 6],
] as const;

/**
 * Attributes as they lie behind their inode; empty where there are none.
 * @throws GantryError invalid for a name or a value that an inode cannot have
 */
export function encodeAttributes(attributes: ReadonlyMap<string, Uint8Array>): Buffer {
  if (attributes.size === 0) return Buffer.alloc(0);
  const parts: Buffer[] = [Buffer.alloc(ATTRIBUTE_HEADER)];
  for (const [key, value] of attributes) {
    const prefix = PREFIXES.find(([start]) => key.startsWith(start));
    if (prefix === undefined) throw new GantryError('internal', `the attribute ${key} belongs to no layer`);
    const name = Buffer.from(key.slice(prefix[0].length));
    if (name.length > MAX_NAME || value.length > MAX_ATTRIBUTE)
      throw new GantryError(
        'invalid',
        `the attribute ${key.slice(0, 80)} has ${name.length} bytes of name and ${value.length} of value; ${MAX_NAME} and ${MAX_ATTRIBUTE} are the most`,
      );
    const length = ATTRIBUTE_ENTRY + name.length + value.length;
    const entry = Buffer.alloc(Math.ceil(length / 4) * 4);
    entry.writeUInt8(name.length, 0);
    entry.writeUInt8(prefix[1], 1);
    entry.writeUInt16LE(value.length, 2);
    entry.set(name, ATTRIBUTE_ENTRY);
    entry.set(value, ATTRIBUTE_ENTRY + name.length);
    parts.push(entry);
  }
  const all = Buffer.concat(parts);
  if ((all.length - ATTRIBUTE_HEADER) / 4 + 1 > MAX_ATTRIBUTE)
    throw new GantryError('invalid', `attributes of ${all.length} bytes; an inode has room for 256 KiB`);
  return all;
}
