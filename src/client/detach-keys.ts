import { GantryError } from '#errors/index.ts';

/** Where a person says nothing else. */
export const usualDetachKeys = 'ctrl-p,ctrl-q';

export interface DetachWatch {
  feed(data: Buffer): Buffer | undefined;
}

/** The bytes of `ctrl-p,ctrl-q` or `a,ctrl-@`. @throws GantryError invalid */
export function parseDetachKeys(text: string): Buffer {
  return Buffer.from(
    text.split(',').map((key) => {
      const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
      if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 64;
      const byte = Buffer.from(key);
      if (byte.length !== 1 || byte[0] === undefined)
        throw new GantryError(
          'invalid',
          `invalid detach keys (${text}): unknown key '${key}'; expected a letter or ctrl-a … ctrl-z, ctrl-@ [ \\ ] ^ _`,
        );
      return byte[0];
    }),
  );
}

/**
 * Looks for the detach keys in what is typed. Keys that may begin the sequence are held back until the next one decides.
 * `feed` returns what is to be passed on, or undefined once the sequence is whole.
 */
export function createDetachWatch(keys: Buffer): DetachWatch {
  let matched = 0;
  return {
    feed(data) {
      const out: number[] = [];
      for (const byte of data) {
        if (byte === keys[matched]) {
          matched++;
          if (matched === keys.length) return undefined;
          continue;
        }
        out.push(...keys.subarray(0, matched));
        matched = byte === keys[0] ? 1 : 0;
        if (matched === 0) out.push(byte);
      }
      return Buffer.from(out);
    },
  };
}
