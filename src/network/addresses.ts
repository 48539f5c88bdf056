import { isIPv6 } from 'node:net';
import { GantryError } from '#errors/index.ts';

/** An IPv4 or IPv6 address as a number, so that ranges are arithmetic. */
export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

export const bitsOf = { 4: 32, 6: 128 } as const;

/** Reads `192.0.2.1` or `2001:db8::1`; no zone and no other spelling of an IPv4 address is taken. */
export function parseAddress(text: string): Address | undefined {
  if (text.includes(':')) return parse6(text);
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256n + BigInt(part);
  }
  return { family: 4, value };
}

function parse6(text: string): Address | undefined {
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const tail = /^(.*:)([^:]*\..*)$/.exec(text); // ::ffff:192.0.2.1
  const inner = tail === null ? undefined : parseAddress(tail[2] ?? '');
  const words =
    inner === undefined ? '' : `${(inner.value >> 16n).toString(16)}:${(inner.value & 0xffffn).toString(16)}`;
  const [head = '', rest] = (inner === undefined ? text : `${tail?.[1] ?? ''}${words}`).split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const [before, after] = [groups(head), groups(rest ?? '')];
  const zeros = rest === undefined ? [] : new Array<string>(8 - before.length - after.length).fill('0');
  const value = [...before, ...zeros, ...after].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
  return { family: 6, value };
}

/** As people write it; IPv6 in its short form (RFC 5952). */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, n) => Number((value >> BigInt(112 - 16 * n)) & 0xffffn));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const text = (from: number, to?: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return best.at < 0 ? text(0) : `${text(0, best.at)}::${text(best.at + best.length)}`;
}

/** Four or sixteen bytes in network order. @throws GantryError internal for a text that is no address */
export function addressBytes(address: Address | string): Buffer {
  const known = typeof address === 'string' ? parseAddress(address) : address;
  if (known === undefined) throw new GantryError('internal', `"${address}" is no IP address`);
  const bits = bitsOf[known.family];
  return Buffer.from(known.value.toString(16).padStart(bits / 4, '0'), 'hex');
}

export const addressFromBytes = (bytes: Uint8Array): Address => ({
  family: bytes.length === 16 ? 6 : 4,
  value: BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`),
});
