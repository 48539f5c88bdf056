/** One entry of a tar archive, as the last of its headers says it (POSIX pax, ustar, GNU). */
export interface TarHeader {
  /** As in the archive: not cleaned, perhaps absolute or with `..`. Bytes that are no UTF-8 are lone surrogates (tar-name.ts). */
  readonly name: string;
  readonly type: TarEntryType;
  /** The low 12 bits: permissions, setuid, setgid, sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content; 0 for what is no file. */
  readonly size: number;
  readonly mtime: TarTime;
  /** Target of a symlink, or the archive's name of a hard link's first entry; else ''. */
  readonly linkName: string;
  /** Of a device; else 0. */
  readonly major: number;
  readonly minor: number;
  readonly userName: string;
  readonly groupName: string;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

export type TarEntryType = 'file' | 'hardlink' | 'symlink' | 'character-device' | 'block-device' | 'directory' | 'fifo';

/** Seconds since the epoch (negative before it) and the nanoseconds after them. */
export interface TarTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export const BLOCK = 512;

/** Type flags of POSIX's ustar; the writer uses the first of a type. */
export const typeFlags: readonly (readonly [flag: string, type: TarEntryType])[] = [
  ['0', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'character-device'],
  ['4', 'block-device'],
  ['5', 'directory'],
  ['6', 'fifo'],
  ['7', 'file'],
  ['\0', 'file'],
];

/** Bytes from a content's end to the next block. */
export const paddingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** Where a field of a header block is (POSIX: pax, "ustar Interchange Format"). */
export const fields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  magic: [257, 8],
  userName: [265, 32],
  groupName: [297, 32],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
} as const;

/** The sum that a header's checksum field holds: of all bytes, the field itself taken as spaces. */
export function checksumOf(block: Uint8Array): { unsigned: number; signed: number } {
  const [start, length] = fields.checksum;
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= start && i < start + length ? 0x20 : (block[i] ?? 0);
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  return { unsigned, signed };
}
