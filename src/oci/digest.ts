import { createHash } from 'node:crypto';
import { GantryError } from '#errors/index.ts';

const pattern = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** True for a well-formed `sha256:` or `sha512:` digest (image-spec: descriptor.md#digests). */
export const isDigest = (value: string): boolean => pattern.test(value);

/** Splits a digest. @throws GantryError invalid, naming the value. */
export function parseDigest(value: string): { algorithm: 'sha256' | 'sha512'; hex: string } {
  if (!isDigest(value)) {
    throw new GantryError('invalid', `"${value}" is not a digest; expected sha256:<64 hex> or sha512:<128 hex>`, {
      code: 'digest-invalid',
    });
  }
  const at = value.indexOf(':');
  return { algorithm: value.slice(0, at) as 'sha256' | 'sha512', hex: value.slice(at + 1) };
}

/** The sha256 digest of bytes or of a string's UTF-8. */
export const digestOf = (data: Uint8Array | string): string =>
  `sha256:${createHash('sha256').update(data).digest('hex')}`;

/** The chain id of a layer on a parent chain (image-spec: config.md#layer-chainid). */
export const chainId = (parent: string | undefined, diffId: string): string =>
  parent === undefined ? diffId : digestOf(`${parent} ${diffId}`);

/** The chain id of a whole list of diff ids; undefined for an empty image. */
export const chainIdOf = (diffIds: readonly string[]): string | undefined =>
  diffIds.reduce<string | undefined>((parent, diffId) => chainId(parent, diffId), undefined);
