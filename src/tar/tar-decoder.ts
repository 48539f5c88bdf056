import { GantryError } from '#errors/index.ts';
import { parseHeaderBlock } from './parse-header.ts';
import { applyPax, type PaxRecords, parsePax } from './pax.ts';
import { BLOCK, paddingOf, type TarHeader } from './tar-header.ts';
import { decodeName } from './tar-name.ts';

/** What a stretch of an archive holds. `data` is a view of the decoded chunk; its bytes belong to the last `entry`. */
export type TarEvent =
  | { readonly kind: 'entry'; readonly header: TarHeader }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' };

/** A header that describes the next one (GNU long name, PAX) may have this many bytes: xattr values have at most 64 KiB. */
const MAX_EXTENSION = 1 << 20;

type State =
  | { readonly at: 'header' }
  | { readonly at: 'content'; rest: number; readonly padding: number }
  | { readonly at: 'extension'; readonly flag: string; readonly bytes: Buffer; have: number; readonly padding: number }
  | { readonly at: 'padding'; rest: number }
  | { readonly at: 'archive-end' };

/** What headers before it said of the next entry. */
interface Pending {
  longName?: string;
  longLink?: string;
  pax?: PaxRecords;
}

/** Decodes a tar archive that arrives in chunks of any size; synchronous, so that a chunk costs no turn of the event loop. */
export interface TarDecoder {
  /**
   * The events of a chunk; iterate them to the end. An `end` follows the data of every entry.
   * @throws GantryError corrupt, unsupported (sparse files, volumes, unknown types)
   */
  decode(chunk: Uint8Array): Generator<TarEvent, void>;
  /** Says that no more chunks come. @throws GantryError corrupt where the archive stops inside an entry */
  finish(): void;
}

/**
 * A decoder for ustar, GNU and PAX archives. An archive that stops between two entries, without the two blocks of zeros
 * that should end it, is taken as whole, as GNU tar does; what follows those blocks is ignored.
 */
export function createTarDecoder(): TarDecoder {
  const block = Buffer.alloc(BLOCK);
  let have = 0;
  let state: State = { at: 'header' };
  let zeroBlocks = 0;
  let global: PaxRecords = new Map();
  let pending: Pending = {};

  /** Takes a whole header block; returns the entry that it completes. */
  function takeHeader(source: Uint8Array): TarHeader | undefined {
    const parsed = parseHeaderBlock(source);
    if (parsed === undefined) {
      zeroBlocks++;
      if (zeroBlocks === 2) state = { at: 'archive-end' };
      return undefined;
    }
    if (zeroBlocks > 0) throw new GantryError('corrupt', 'tar: an entry follows a block of zeros');
    const { header, flag, size } = parsed;
    if ('xgLK'.includes(flag)) {
      if (size > MAX_EXTENSION)
        throw new GantryError('corrupt', `tar: an extended header of ${size} bytes; at most ${MAX_EXTENSION} are read`);
      state = { at: 'extension', flag, bytes: Buffer.alloc(size), have: 0, padding: paddingOf(size) };
      if (size === 0) endExtension(state);
      return undefined;
    }
    const entry = applyPax(
      {
        ...header,
        name: pending.longName ?? header.name,
        linkName: isLink(header) ? (pending.longLink ?? header.linkName) : '',
      },
      global,
      pending.pax,
    );
    pending = {};
    if (entry.name === '') throw new GantryError('corrupt', 'tar: an entry has no name');
    state = { at: 'content', rest: entry.size, padding: paddingOf(entry.size) };
    return entry;
  }

  function endExtension({ flag, bytes, padding }: Extract<State, { at: 'extension' }>): void {
    if (flag === 'L') pending.longName = untilNul(bytes);
    else if (flag === 'K') pending.longLink = untilNul(bytes);
    else if (flag === 'x') pending.pax = parsePax(bytes);
    else global = mergeGlobal(global, parsePax(bytes));
    state = padding === 0 ? { at: 'header' } : { at: 'padding', rest: padding };
  }

  return {
    *decode(chunk) {
      let at = 0;
      while (at < chunk.length || state.at === 'content') {
        switch (state.at) {
          case 'header': {
            const length = Math.min(BLOCK - have, chunk.length - at);
            const part = chunk.subarray(at, at + length);
            at += length;
            if (length < BLOCK) {
              block.set(part, have);
              have += length;
              if (have < BLOCK) return;
            }
            const header = takeHeader(length < BLOCK ? block : part);
            have = 0;
            if (header !== undefined) yield { kind: 'entry', header };
            break;
          }
          case 'content': {
            const { rest, padding } = state;
            if (rest === 0) {
              state = padding === 0 ? { at: 'header' } : { at: 'padding', rest: padding };
              yield { kind: 'end' };
              break;
            }
            if (at === chunk.length) return;
            const bytes = chunk.subarray(at, Math.min(chunk.length, at + rest));
            at += bytes.length;
            state.rest -= bytes.length;
            yield { kind: 'data', bytes };
            break;
          }
          case 'extension': {
            const part = chunk.subarray(at, Math.min(chunk.length, at + state.bytes.length - state.have));
            state.bytes.set(part, state.have);
            state.have += part.length;
            at += part.length;
            if (state.have === state.bytes.length) endExtension(state);
            break;
          }
          case 'padding': {
            const length = Math.min(state.rest, chunk.length - at);
            at += length;
            state.rest -= length;
            if (state.rest === 0) state = { at: 'header' };
            break;
          }
          case 'archive-end':
            return;
        }
      }
    },
    finish() {
      const inside = state.at !== 'header' || have > 0 || Object.keys(pending).length > 0;
      if (inside && state.at !== 'archive-end')
        throw new GantryError('corrupt', 'tar: the archive ends in the middle of an entry; it was cut off', {
          code: 'tar-truncated',
        });
    },
  };
}

const isLink = ({ type }: TarHeader): boolean => type === 'hardlink' || type === 'symlink';

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return decodeName(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Global records add up; bounded, since nothing else limits how many such headers an archive has. */
function mergeGlobal(known: PaxRecords, more: PaxRecords): PaxRecords {
  const merged = new Map([...known, ...more]);
  let size = 0;
  for (const [key, value] of merged) size += key.length + value.length;
  if (size > MAX_EXTENSION)
    throw new GantryError('corrupt', `tar: global headers of ${size} bytes; at most ${MAX_EXTENSION} are kept`);
  return merged;
}
