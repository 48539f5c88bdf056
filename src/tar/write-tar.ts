import { GantryError } from '#errors/index.ts';
import { BLOCK, checksumOf, fields, paddingOf, type TarEntryType, type TarHeader, typeFlags } from './tar-header.ts';
import { encodeName } from './tar-name.ts';

/** What a new entry must say; the rest is 0, empty, or the epoch. */
export type NewTarHeader = Pick<TarHeader, 'name' | 'type'> & Partial<TarHeader>;

const flagOf = new Map<TarEntryType, string>(typeFlags.toReversed().map(([flag, type]) => [type, flag]));
const zeros = Buffer.alloc(BLOCK);

/** The two blocks of zeros that end an archive. */
export const endOfArchive: Buffer = Buffer.alloc(2 * BLOCK);

/** The zeros between a content of `size` bytes and the next header. */
export const tarPadding = (size: number): Buffer => zeros.subarray(0, paddingOf(size));

/**
 * The header of an entry: one ustar block, preceded by a PAX header only where ustar cannot say it (long or non-ASCII
 * names, big numbers, fractions of a second, xattrs). Equal input gives equal bytes.
 * @throws GantryError invalid for what no tar can say
 */
export function encodeTarHeader(header: NewTarHeader): Buffer {
  const { mtime = { seconds: 0, nanoseconds: 0 }, size = 0, uid = 0, gid = 0, major = 0, minor = 0 } = header;
  const records = new Map<string, Buffer>();
  const raw = { name: encodeName(header.name), linkName: encodeName(header.linkName ?? '') };
  if (raw.name.length === 0 || raw.name.includes(0) || raw.linkName.includes(0))
    throw new GantryError('invalid', `"${header.name}" cannot be the name of a tar entry`);
  if (!header.name.isWellFormed() || header.linkName?.isWellFormed() === false)
    records.set('hdrcharset', Buffer.from('BINARY'));
  const split = isAscii(raw.name) ? splitName(raw.name) : undefined;
  if (split === undefined) records.set('path', raw.name);
  if (!isAscii(raw.linkName) || raw.linkName.length > fields.linkName[1]) records.set('linkpath', raw.linkName);

  const octal = (key: string, value: number, length: number, pax = key): number => {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new GantryError('invalid', `"${header.name}" cannot have the ${key} ${value} in a tar`);
    if (value < 8 ** (length - 1)) return value;
    records.set(pax, Buffer.from(String(value)));
    return 0;
  };
  const ownMtime = mtime.seconds >= 0 && mtime.seconds < 8 ** 11 ? mtime.seconds : 0;
  if (ownMtime !== mtime.seconds || mtime.nanoseconds > 0) records.set('mtime', Buffer.from(paxTime(mtime)));
  for (const [key, value] of header.xattrs ?? []) {
    if (key.includes('=') || key === '')
      throw new GantryError('invalid', `"${header.name}" has an attribute "${key}", which no tar can hold`);
    records.set(`SCHILY.xattr.${key}`, Buffer.from(value));
  }
  const block = encodeBlock({
    name: split?.name ?? Buffer.from('entry'),
    prefix: split?.prefix ?? zeros.subarray(0, 0),
    linkName: records.has('linkpath') ? zeros.subarray(0, 0) : raw.linkName,
    flag: flagOf.get(header.type) ?? '0',
    mode: header.mode ?? (header.type === 'directory' ? 0o755 : 0o644),
    uid: octal('uid', uid, fields.uid[1]),
    gid: octal('gid', gid, fields.gid[1]),
    size: octal('size', header.type === 'file' ? size : 0, fields.size[1]),
    mtime: ownMtime,
    userName: header.userName ?? '',
    groupName: header.groupName ?? '',
    major: octal('device number', major, fields.major[1], 'SCHILY.devmajor'),
    minor: octal('device number', minor, fields.minor[1], 'SCHILY.devminor'),
  });
  return records.size === 0 ? block : Buffer.concat([encodePax(records), block]);
}

const isAscii = (bytes: Buffer): boolean => bytes.every((byte) => byte < 0x80);

/** A name in ustar's two fields: cut at a slash. Undefined where it does not fit. */
function splitName(name: Buffer): { readonly name: Buffer; readonly prefix: Buffer } | undefined {
  const [, longest] = fields.name;
  if (name.length <= longest) return { name, prefix: name.subarray(0, 0) };
  const slash = name.indexOf(0x2f, name.length - longest - 1);
  if (slash <= 0 || slash > fields.prefix[1] || slash === name.length - 1) return undefined;
  return { name: name.subarray(slash + 1), prefix: name.subarray(0, slash) };
}

function paxTime({ seconds, nanoseconds }: TarHeader['mtime']): string {
  const negative = seconds < 0;
  const whole = negative && nanoseconds > 0 ? seconds + 1 : seconds;
  const fraction = negative && nanoseconds > 0 ? 1e9 - nanoseconds : nanoseconds;
  const digits = String(fraction).padStart(9, '0').replace(/0+$/, '');
  return `${negative ? '-' : ''}${Math.abs(whole)}${digits === '' ? '' : `.${digits}`}`;
}

interface BlockFields {
  readonly name: Buffer;
  readonly prefix: Buffer;
  readonly linkName: Buffer;
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly userName: string;
  readonly groupName: string;
  readonly major: number;
  readonly minor: number;
}

function encodeBlock(of: BlockFields): Buffer {
  const block = Buffer.alloc(BLOCK);
  for (const key of ['name', 'prefix', 'linkName'] as const) block.set(of[key], fields[key][0]);
  for (const key of ['mode', 'uid', 'gid', 'size', 'mtime', 'major', 'minor'] as const) {
    const [start, length] = fields[key];
    block.write(of[key].toString(8).padStart(length - 1, '0'), start, 'latin1');
  }
  for (const key of ['userName', 'groupName'] as const) {
    const [start, length] = fields[key];
    block.write(of[key], start, length - 1, 'utf8');
  }
  block.write(of.flag, fields.type[0], 'latin1');
  block.write('ustar\x0000', fields.magic[0], 'latin1');
  block.write(`${checksumOf(block).unsigned.toString(8).padStart(6, '0')}\0 `, fields.checksum[0], 'latin1');
  return block;
}

/** A PAX header with its records in order of their keys. */
function encodePax(records: ReadonlyMap<string, Buffer>): Buffer {
  const body = Buffer.concat(
    [...records]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => encodeRecord(Buffer.from(`${key}=`), value)),
  );
  const block = encodeBlock({
    name: Buffer.from('PaxHeaders.0/entry'),
    prefix: zeros.subarray(0, 0),
    linkName: zeros.subarray(0, 0),
    flag: 'x',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 0,
    userName: '',
    groupName: '',
    major: 0,
    minor: 0,
  });
  return Buffer.concat([block, body, tarPadding(body.length)]);
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function encodeRecord(key: Buffer, value: Buffer): Buffer {
  const rest = key.length + value.length + 2;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} `), key, value, Buffer.from('\n')]);
}

/** An entry to pack; `body` has exactly `header.size` bytes (a buffer's length where the header has no size). */
export interface TarSource {
  readonly header: NewTarHeader;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
}

/**
 * An archive of entries, in their order, as chunks.
 * @throws GantryError invalid where a body is longer or shorter than its header says
 */
export async function* packEntries(
  entries: Iterable<TarSource> | AsyncIterable<TarSource>,
): AsyncGenerator<Buffer | Uint8Array, void> {
  for await (const { header, body } of entries) {
    const whole = body instanceof Uint8Array ? body : undefined;
    const size = header.size ?? whole?.length ?? 0;
    yield encodeTarHeader({ ...header, size });
    if (header.type !== 'file') continue;
    let written = 0;
    for await (const chunk of whole === undefined ? ((body as AsyncIterable<Uint8Array> | undefined) ?? []) : [whole]) {
      written += chunk.length;
      if (written > size) break;
      yield chunk;
    }
    if (written !== size)
      throw new GantryError('invalid', `"${header.name}" has not the ${size} bytes that its tar header says`);
    if (size % BLOCK > 0) yield tarPadding(size);
  }
  yield endOfArchive;
}
