import { GantryError } from '#errors/index.ts';
import { checkId } from './parse-header.ts';
import type { TarHeader, TarTime } from './tar-header.ts';
import { decodeName } from './tar-name.ts';

/** Records of a PAX extended header; a value of no bytes takes back what a global header said. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

const XATTR = 'SCHILY.xattr.';

/** Reads `<length> <key>=<value>\n` records (POSIX: pax Extended Header). @throws GantryError corrupt */
export function parsePax(bytes: Buffer): PaxRecords {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 || space - at > 7 ? '' : bytes.toString('latin1', at, space);
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, space);
    if (!/^[0-9]+$/.test(digits) || end > bytes.length || equals < 0 || equals >= end - 1 || bytes[end - 1] !== 0x0a)
      throw new GantryError('corrupt', `tar: a PAX header has a malformed record at byte ${at}`, { code: 'tar-pax' });
    records.set(bytes.toString('utf8', space + 1, equals), bytes.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/**
 * An entry with what PAX headers say of it; the entry's own win over global ones.
 * @throws GantryError corrupt (a value that is none), unsupported (sparse files)
 */
export function applyPax(header: TarHeader, global: PaxRecords, own: PaxRecords | undefined): TarHeader {
  if (own === undefined && global.size === 0) return header;
  const records = own === undefined ? global : global.size === 0 ? own : new Map([...global, ...own]);
  const changed: { -readonly [K in keyof TarHeader]?: TarHeader[K] } = {};
  const xattrs = new Map<string, Uint8Array>();
  for (const [key, value] of records) {
    if (value.length === 0 && !key.startsWith(XATTR)) continue;
    switch (key) {
      case 'path':
        changed.name = pathValue(value, key);
        break;
      case 'linkpath':
        if (header.type === 'symlink' || header.type === 'hardlink') changed.linkName = pathValue(value, key);
        break;
      case 'size':
        if (header.type === 'file') changed.size = integer(value, key);
        break;
      case 'uid':
      case 'gid':
        changed[key] = checkId(integer(value, key), key, header.name);
        break;
      case 'uname':
        changed.userName = value.toString('utf8');
        break;
      case 'gname':
        changed.groupName = value.toString('utf8');
        break;
      case 'mtime':
        changed.mtime = time(value);
        break;
      default:
        if (key.startsWith(XATTR)) xattrs.set(key.slice(XATTR.length), value);
        else if (key.startsWith('GNU.sparse.'))
          throw new GantryError(
            'unsupported',
            `tar: "${header.name}" is a sparse file; write the archive without --sparse`,
            { code: 'tar-sparse' },
          );
    }
  }
  if (xattrs.size > 0) changed.xattrs = xattrs;
  return { ...header, ...changed };
}

const badValue = (key: string, value: Buffer): GantryError =>
  new GantryError('corrupt', `tar: the PAX record ${key} has the value ${JSON.stringify(value.toString('latin1'))}`, {
    code: 'tar-pax',
  });

function pathValue(value: Buffer, key: string): string {
  if (value.includes(0)) throw badValue(key, value);
  return decodeName(value);
}

function integer(value: Buffer, key: string): number {
  const digits = value.toString('latin1');
  const result = Number(digits);
  if (!/^[0-9]{1,16}$/.test(digits) || !Number.isSafeInteger(result)) throw badValue(key, value);
  return result;
}

/** A decimal number of seconds; what is finer than a nanosecond is cut. Before the epoch, nanoseconds still count up. */
function time(value: Buffer): TarTime {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]{0,64}))?$/.exec(value.toString('latin1'));
  if (match === null) throw badValue('mtime', value);
  const [, sign, whole = '0', fraction = ''] = match;
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign !== '-') return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: -seconds + 0, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}
