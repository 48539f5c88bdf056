import type { IncomingMessage } from 'node:http';

/** How much a registry still gives (`ratelimit-limit: 100;w=21600`, `ratelimit-remaining: 76;w=21600`). */
export interface RateLimit {
  readonly limit: number;
  readonly remaining: number;
  readonly windowSeconds: number;
}

/** Undefined where the registry says nothing of a limit. */
export function rateLimitOf({ headers }: Pick<IncomingMessage, 'headers'>): RateLimit | undefined {
  const read = (name: string) => /^(\d+)(?:;w=(\d+))?/.exec(String(headers[name] ?? ''));
  const [limit, remaining] = [read('ratelimit-limit'), read('ratelimit-remaining')];
  if (limit === null || remaining === null) return undefined;
  return { limit: Number(limit[1]), remaining: Number(remaining[1]), windowSeconds: Number(limit[2] ?? 0) };
}

/** Milliseconds that a registry asks to wait (RFC 9110 §10.2.3: seconds, or a date); undefined where it does not. */
export function retryAfter({ headers }: Pick<IncomingMessage, 'headers'>, now = Date.now()): number | undefined {
  const value = headers['retry-after'];
  if (value === undefined) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}
