/** Numbers that a seed decides (mulberry32), so that what was found can be found again. */
export interface Random {
  /** From `least` to `most`, both included. */
  integer(least: number, most: number): number;
  oneOf<T>(values: readonly [T, ...T[]]): T;
  /** Another stream of numbers, decided by this one's seed and the name. */
  fork(name: string): Random;
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return {
    integer,
    oneOf: (values) => values[integer(0, values.length - 1)] ?? values[0],
    fork: (name) => createRandom([...name].reduce((hash, c) => Math.imul(hash, 31) + c.charCodeAt(0), seed)),
  };
}
