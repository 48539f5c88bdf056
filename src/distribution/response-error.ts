import type { IncomingMessage } from 'node:http';
import { type ErrorKind, GantryError } from '#errors/index.ts';
import { rateLimitOf, retryAfter } from './rate-limit.ts';

const limit = 4 << 20;

/** A response's body whole, at most 4 MiB. @throws GantryError unavailable */
export async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) {
      response.destroy();
      throw new GantryError(
        'unavailable',
        `the registry answered more than ${limit} bytes where a document was expected`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A response's body as JSON, its fields not checked. @throws GantryError unavailable */
export async function jsonOf<T extends object>(host: string, response: IncomingMessage): Promise<Partial<T>> {
  try {
    const value: unknown = JSON.parse((await bodyOf(response)).toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Partial<T>;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw new GantryError('unavailable', `${host} answered something else than JSON; is it a registry?`);
}

const limitOf = (response: IncomingMessage): string => {
  const limit = rateLimitOf(response);
  const wait = retryAfter(response);
  return [
    ...(limit === undefined ? [] : [` to ${limit.limit} in ${limit.windowSeconds} s (${limit.remaining} left)`]),
    ...(wait === undefined ? [] : [`, for another ${Math.ceil(wait / 1000)} s`]),
  ].join('');
};

const kindOf = (status: number): ErrorKind => {
  if (status === 401) return 'unauthorized';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not-found';
  if (status === 429 || status >= 500) return 'unavailable';
  return 'invalid';
};

const adviceOf = (status: number, host: string, response: IncomingMessage): string => {
  if (status === 401) return `; log in with \`gantry login ${host}\``;
  if (status === 403) return '; the account may not do this';
  if (status === 429) return `; the registry limits requests${limitOf(response)}: wait, or log in`;
  if (status >= 500) return '; the registry itself failed: try again, or tell whoever runs it';
  return '';
};

/** Turns a refused request into a GantryError with the registry's own words (distribution-spec: error codes). */
export async function responseError(what: string, host: string, response: IncomingMessage): Promise<GantryError> {
  const status = response.statusCode ?? 0;
  let words = '';
  let code = '';
  try {
    const text = (await bodyOf(response)).toString('utf8');
    try {
      const parsed = JSON.parse(text) as {
        errors?: { code?: string; message?: string }[];
        details?: string;
        message?: string;
      };
      const first = parsed.errors?.[0];
      code = first?.code ?? '';
      words = first?.message ?? parsed.details ?? parsed.message ?? '';
    } catch {
      words = text.length < 200 && !text.trimStart().startsWith('<') ? text.trim() : '';
    }
  } catch {
    // The status says enough.
  }
  if (words === '') {
    words =
      code === 'MANIFEST_UNKNOWN'
        ? 'manifest unknown'
        : code.toLowerCase().replaceAll('_', ' ') || `${response.statusMessage ?? ''}`.toLowerCase();
  }
  if (code === 'MANIFEST_UNKNOWN' && !words.includes('manifest unknown')) words = `manifest unknown: ${words}`;
  return new GantryError(
    kindOf(status),
    `${what}: ${words} (${host} answered ${status})${adviceOf(status, host, response)}`,
    {
      code: code === '' ? `registry-${status}` : code.toLowerCase().replaceAll('_', '-'),
    },
  );
}
