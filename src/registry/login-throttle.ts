import { GantryError } from '#errors/index.ts';

export interface LoginThrottle {
  /**
   * Counts an attempt before it is tried, so that many at once gain nothing.
   * @throws LoginThrottled (kind exhausted, code `login-throttled`) with the seconds to wait
   */
  begin(account: string, address: string): { succeeded(): void };
}

/** Too many wrong passwords; `retryAfter` in whole seconds. */
export class LoginThrottled extends GantryError {
  readonly retryAfter: number;
  constructor(retryAfter: number) {
    super('exhausted', `too many failed logins; try again in ${retryAfter} s`, { code: 'login-throttled' });
    this.retryAfter = retryAfter;
  }
}

interface Entry {
  failures: number;
  until: number;
  last: number;
}

const forgetAfter = 15 * 60_000;
const mostEntries = 20_000;
/** How many failures are free, and the longest wait after more of them in milliseconds. */
const limits = { pair: { free: 5, longest: 60_000 }, address: { free: 50, longest: 5000 } };

/**
 * After a few failures each further one doubles the wait, up to a minute; a quarter of an hour of quiet forgets all.
 * Counted per account and address, so nobody can lock another person out, and per address with a wider limit and a
 * shorter wait, against one guess at many names.
 */
export function createLoginThrottle(options: { readonly now?: () => number } = {}): LoginThrottle {
  const now = options.now ?? Date.now;
  const entries = new Map<string, Entry>();

  const entryOf = (key: string, time: number): Entry => {
    const known = entries.get(key);
    const entry =
      known === undefined || time - known.last > forgetAfter ? { failures: 0, until: 0, last: time } : known;
    entries.delete(key);
    entries.set(key, entry);
    for (const oldest of entries.keys()) {
      if (entries.size <= mostEntries) break;
      entries.delete(oldest);
    }
    return entry;
  };

  return {
    begin(account, address) {
      const time = now();
      const pair = entryOf(`${address} ${account}`, time);
      const whole = entryOf(address, time);
      const until = Math.max(pair.until, whole.until);
      if (until > time) throw new LoginThrottled(Math.ceil((until - time) / 1000));
      const before = { ...whole };
      count(pair, limits.pair, time);
      count(whole, limits.address, time);
      return {
        succeeded() {
          entries.delete(`${address} ${account}`);
          whole.failures--;
          whole.until = before.until;
          whole.last = before.last;
        },
      };
    },
  };
}

function count(entry: Entry, { free, longest }: { free: number; longest: number }, time: number): void {
  entry.failures++;
  entry.last = time;
  const beyond = entry.failures - free;
  if (beyond >= 0) entry.until = time + Math.min(longest, 1000 * 2 ** Math.min(beyond, 10));
}
