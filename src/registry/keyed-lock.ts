/** One body at a time for each key; bodies of different keys run side by side. */
export interface KeyedLock {
  run<T>(key: string, body: () => Promise<T>): Promise<T>;
}

export function createKeyedLock(): KeyedLock {
  const tails = new Map<string, Promise<unknown>>();
  return {
    async run(key, body) {
      const before = tails.get(key) ?? Promise.resolve();
      const turn = before.then(body, body);
      tails.set(key, turn);
      try {
        return await turn;
      } finally {
        if (tails.get(key) === turn) tails.delete(key);
      }
    },
  };
}
