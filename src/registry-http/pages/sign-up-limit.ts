import { LoginThrottled } from '#registry/index.ts';

const period = 3600_000;
/** A classroom behind one address signs up within minutes; a script makes thousands. */
const most = 100;

/** Counts new accounts per network address. @throws LoginThrottled beyond a hundred in an hour */
export function createSignUpLimit(now: () => number = Date.now): { count(address: string): void } {
  let began = now();
  const counts = new Map<string, number>();
  return {
    count(address) {
      const time = now();
      if (time - began > period) {
        counts.clear();
        began = time;
      }
      const count = (counts.get(address) ?? 0) + 1;
      if (count > most) throw new LoginThrottled(Math.ceil((began + period - time) / 1000));
      counts.set(address, count);
    },
  };
}
