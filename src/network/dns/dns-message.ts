/** DNS messages (RFC 1035), as far as a resolver for names of containers reads and writes them. */

export const recordType = { a: 1, ptr: 12, opt: 41, aaaa: 28 } as const;
export const responseCode = { ok: 0, formatError: 1, serverFailure: 2, noSuchName: 3, notImplemented: 4 } as const;
const CLASS_IN = 1;
const HEADER = 12;
const RESPONSE = 0x8000;
const OPCODE = 0x7800;
const AUTHORITATIVE = 0x0400;
const TRUNCATED = 0x0200;
const RECURSION_DESIRED = 0x0100;
const RECURSION_AVAILABLE = 0x0080;
const LARGEST_NAME = 255;
const LARGEST_WITHOUT_EDNS = 512;

export interface Question {
  readonly id: number;
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Where the question ends in the message. */
  readonly end: number;
  readonly recursionDesired: boolean;
  /** How long a datagram the asker takes. */
  readonly datagramLimit: number;
}

export interface Answer {
  readonly type: number;
  readonly data: Uint8Array;
}

/** The id of any message, to refuse what cannot be read; undefined where there is not even a header, or it is no query. */
export const queryId = (message: Buffer): number | undefined =>
  message.length >= HEADER && (message.readUInt16BE(2) & RESPONSE) === 0 ? message.readUInt16BE(0) : undefined;

/** Reads the one question of a query; undefined for what is no standard query with exactly one. */
export function readQuestion(message: Buffer): Question | undefined {
  if (message.length < HEADER) return undefined;
  const flags = message.readUInt16BE(2);
  if ((flags & (RESPONSE | OPCODE)) !== 0 || message.readUInt16BE(4) !== 1) return undefined;
  const name = readName(message, HEADER);
  if (name === undefined || name.end + 4 > message.length) return undefined;
  const end = name.end + 4;
  return {
    id: message.readUInt16BE(0),
    name: name.text.toLowerCase(),
    type: message.readUInt16BE(name.end),
    class: message.readUInt16BE(name.end + 2),
    end,
    recursionDesired: (flags & RECURSION_DESIRED) !== 0,
    datagramLimit: Math.max(LARGEST_WITHOUT_EDNS, ednsSize(message, end) ?? 0),
  };
}

/** Labels without pointers: a question comes first, so that there is nothing to point at. A dot in a label is `\046`. */
function readName(message: Buffer, start: number): { readonly text: string; readonly end: number } | undefined {
  const labels: string[] = [];
  for (let at = start; at < message.length && at - start <= LARGEST_NAME; ) {
    const length = message[at] ?? 0;
    if (length === 0) return { text: labels.join('.'), end: at + 1 };
    if (length > 63 || at + 1 + length > message.length) return undefined;
    labels.push(message.toString('latin1', at + 1, at + 1 + length).replaceAll('.', '\\046'));
    at += 1 + length;
  }
  return undefined;
}

/** The size in an OPT record (RFC 6891) that follows the question at once, as stub resolvers send it. */
function ednsSize(message: Buffer, at: number): number | undefined {
  const additional = message.readUInt16BE(10);
  if (additional === 0 || message.readUInt16BE(6) + message.readUInt16BE(8) > 0 || at + 5 > message.length)
    return undefined;
  return message[at] === 0 && message.readUInt16BE(at + 1) === recordType.opt
    ? message.readUInt16BE(at + 3)
    : undefined;
}

/** Writes a name as labels. @throws RangeError for one that is no name */
export function nameBytes(name: string): Buffer {
  const parts = name.split('.').map((label) => {
    const bytes = Buffer.from(label, 'latin1');
    if (bytes.length === 0 || bytes.length > 63) throw new RangeError(`"${label}" is no label of a DNS name`);
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  const bytes = Buffer.concat([...parts, Buffer.from([0])]);
  if (bytes.length > LARGEST_NAME) throw new RangeError(`"${name}" is too long a DNS name`);
  return bytes;
}

export interface Reply {
  readonly code: number;
  readonly answers?: readonly Answer[];
  /** Seconds that an answer may be kept. */
  readonly ttl?: number;
}

/** Answers a question. What is longer than `limit` bytes is cut, and says so. */
export function writeReply(query: Buffer, question: Question, reply: Reply, limit: number): Buffer {
  const { answers = [], ttl = 0 } = reply;
  const records = answers.map(({ type, data }) => {
    const head = Buffer.alloc(12);
    head.writeUInt16BE(0xc000 | HEADER, 0); // the question's name
    head.writeUInt16BE(type, 2);
    head.writeUInt16BE(CLASS_IN, 4);
    head.writeUInt32BE(ttl, 6);
    head.writeUInt16BE(data.length, 10);
    return Buffer.concat([head, data]);
  });
  let size = question.end;
  const kept = records.filter((record) => {
    size += record.length;
    return size <= limit;
  });
  const header = Buffer.alloc(HEADER);
  header.writeUInt16BE(question.id, 0);
  header.writeUInt16BE(
    RESPONSE |
      AUTHORITATIVE |
      RECURSION_AVAILABLE |
      (question.recursionDesired ? RECURSION_DESIRED : 0) |
      (kept.length < records.length ? TRUNCATED : 0) |
      reply.code,
    2,
  );
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(kept.length, 6);
  return Buffer.concat([header, query.subarray(HEADER, question.end), ...kept]);
}

/** The answer to what could not be read: its id and a code. */
export function writeRefusal(id: number, code: number): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(RESPONSE | RECURSION_AVAILABLE | code, 2);
  return header;
}

/** Whether a message is the answer to a query: same id, same question, whatever the case of its letters. */
export function answers(reply: Buffer, query: Buffer, question: Question): boolean {
  if (reply.length < question.end) return false;
  return (
    reply.readUInt16BE(0) === query.readUInt16BE(0) &&
    (reply.readUInt16BE(2) & RESPONSE) !== 0 &&
    reply.toString('latin1', HEADER, question.end).toLowerCase() ===
      query.toString('latin1', HEADER, question.end).toLowerCase()
  );
}

/** The address that a reverse name asks for (`2.0.18.172.in-addr.arpa`), as text; undefined for any other name. */
export function reversedAddress(name: string): string | undefined {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  if (four !== null) return four.slice(1).toReversed().join('.');
  const six = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name);
  const digits = six?.[1]?.replaceAll('.', '');
  return digits === undefined
    ? undefined
    : [...digits]
        .toReversed()
        .join('')
        .replace(/(.{4})(?!$)/g, '$1:');
}
