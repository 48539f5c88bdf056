import { isUtf8 } from 'node:buffer';

/**
 * Names on Linux are bytes. Here they are strings: UTF-8 where they are that, and each other byte a lone low surrogate
 * (U+DC80–U+DCFF, as Python's "surrogateescape"), so that every name survives a round trip.
 */

const replacement = '\ufffd';

/** Text of a name's bytes. */
export function decodeName(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString('utf8');
  if (!text.includes(replacement) || isUtf8(buffer)) return text;
  let out = '';
  for (let at = 0; at < buffer.length; ) {
    const length = [1, 2, 3, 4].find((n) => at + n <= buffer.length && isUtf8(buffer.subarray(at, at + n)));
    out +=
      length === undefined ? String.fromCharCode(0xdc00 + (buffer[at] ?? 0)) : buffer.toString('utf8', at, at + length);
    at += length ?? 1;
  }
  return out;
}

/** The bytes of a name's text. */
export function encodeName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name);
  return Buffer.concat(
    name
      .split(/([\udc80-\udcff])/u)
      .map((part, i) => (i % 2 === 1 ? Buffer.of(part.charCodeAt(0) - 0xdc00) : Buffer.from(part))),
  );
}
