import { GantryError } from '#errors/index.ts';
import { BLOCK, checksumOf, fields, type TarEntryType, type TarHeader, typeFlags } from './tar-header.ts';
import { decodeName } from './tar-name.ts';

type Field = readonly [start: number, length: number];

const types = new Map<string, TarEntryType>(typeFlags);
const noXattrs: ReadonlyMap<string, Uint8Array> = new Map();
const MAX_ID = 0xffff_fffe;

/**
 * Reads one header block. `size` is how many bytes follow it, also for headers that describe the next entry (flags
 * `x g L K`). Undefined for a block of zeros.
 * @throws GantryError corrupt (checksum, a number), unsupported (a type that cannot be unpacked)
 */
export function parseHeaderBlock(
  bytes: Uint8Array,
): { readonly header: TarHeader; readonly flag: string; readonly size: number } | undefined {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, BLOCK);
  const sum = checksumOf(block);
  if (sum.unsigned === 8 * 0x20 && block.every((byte) => byte === 0)) return undefined;
  const said = number(block, fields.checksum, 'checksum', '');
  if (said !== sum.unsigned && said !== sum.signed)
    throw new GantryError('corrupt', `tar: a header's checksum is ${sum.unsigned}, and says ${said}`, {
      code: 'tar-checksum',
    });
  const flag = String.fromCharCode(block[fields.type[0]] ?? 0);
  const magic = block.toString('latin1', fields.magic[0], fields.magic[0] + 6);
  const prefix = magic === 'ustar\0' ? text(block, fields.prefix) : '';
  const ownName = text(block, fields.name);
  const name = prefix === '' ? ownName : `${prefix}/${ownName}`;
  const size = number(block, fields.size, 'size', name);
  if (size < 0) throw new GantryError('corrupt', `tar: "${name}" has a size of ${size}`);

  let type = types.get(flag);
  if (type === undefined && !'xgLK'.includes(flag)) throw unsupportedType(flag, name);
  // Before ustar, a directory was a file whose name ends in a slash.
  if (type === 'file' && flag !== '7' && ownName.endsWith('/')) type = 'directory';
  const device = type === 'character-device' || type === 'block-device';
  const seconds = number(block, fields.mtime, 'mtime', name);
  return {
    flag,
    size,
    header: {
      name,
      type: type ?? 'file',
      mode: number(block, fields.mode, 'mode', name) & 0o7777,
      uid: checkId(number(block, fields.uid, 'uid', name), 'uid', name),
      gid: checkId(number(block, fields.gid, 'gid', name), 'gid', name),
      size: type === 'file' ? size : 0,
      mtime: { seconds, nanoseconds: 0 },
      linkName: type === 'hardlink' || type === 'symlink' ? text(block, fields.linkName) : '',
      major: device ? number(block, fields.major, 'device number', name) : 0,
      minor: device ? number(block, fields.minor, 'device number', name) : 0,
      userName: text(block, fields.userName),
      groupName: text(block, fields.groupName),
      xattrs: noXattrs,
    },
  };
}

/** @throws GantryError corrupt for what is no user or group id */
export function checkId(value: number, what: string, name: string): number {
  if (!Number.isInteger(value) || value < 0 || value > MAX_ID)
    throw new GantryError('corrupt', `tar: "${name}" has the ${what} ${value}`);
  return value;
}

function unsupportedType(flag: string, name: string): GantryError {
  if (flag === 'S')
    return new GantryError('unsupported', `tar: "${name}" is a sparse file; write the archive without --sparse`, {
      code: 'tar-sparse',
    });
  return new GantryError('unsupported', `tar: "${name}" has the type ${JSON.stringify(flag)}, which is not unpacked`, {
    code: 'tar-type',
  });
}

function text(block: Buffer, [start, length]: Field): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return end === 0 ? '' : decodeName(end < 0 ? field : field.subarray(0, end));
}

/** Octal digits, or GNU's base-256 where the first bit is set. */
function number(block: Buffer, [start, length]: Field, what: string, name: string): number {
  const first = block[start] ?? 0;
  if (first >= 0x80) return base256(block.subarray(start, start + length), what, name);
  let value = 0;
  let digits = 0;
  for (let i = start; i < start + length; i++) {
    const byte = block[i] ?? 0;
    if (byte >= 0x30 && byte <= 0x37) {
      value = value * 8 + (byte - 0x30);
      digits++;
    } else if (byte === 0 || (byte === 0x20 && digits > 0)) break;
    else if (byte !== 0x20) throw badNumber(what, name);
  }
  return value;
}

function base256(field: Buffer, what: string, name: string): number {
  const negative = field[0] === 0xff;
  let value = BigInt(negative ? -1 : (field[0] ?? 0) & 0x7f);
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte);
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) throw badNumber(what, name);
  return Number(value);
}

const badNumber = (what: string, name: string): GantryError =>
  new GantryError('corrupt', `tar: the ${what} of "${name}" is no number`, { code: 'tar-number' });
