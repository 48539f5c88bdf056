/**
 * Keys (digests, chain ids) that work in progress relies on, so that collection leaves them alone. `hold` waits for a
 * deletion of one of its keys that has begun; `deleting` skips a key that is held.
 */
export function createLeases() {
  const held = new Map<string, number>();
  const going = new Map<string, Promise<void>>();

  return {
    async hold(keys: Iterable<string>): Promise<() => void> {
      const all = [...new Set(keys)];
      for (const key of all) held.set(key, (held.get(key) ?? 0) + 1);
      await Promise.all(all.map((key) => going.get(key)));
      let released = false;
      return () => {
        if (released) return;
        released = true;
        for (const key of all) {
          const count = (held.get(key) ?? 1) - 1;
          if (count === 0) held.delete(key);
          else held.set(key, count);
        }
      };
    },
    /** How many hold a key. */
    holders: (key: string): number => held.get(key) ?? 0,
    /** Runs `work` unless the key is held; says whether it ran. */
    async deleting(key: string, work: () => Promise<boolean>): Promise<boolean> {
      if (held.has(key) || going.has(key)) return false;
      const task = work();
      const settled = task.then(
        () => {},
        () => {},
      );
      going.set(key, settled);
      try {
        return await task;
      } finally {
        going.delete(key);
      }
    },
  };
}

export type Leases = ReturnType<typeof createLeases>;
