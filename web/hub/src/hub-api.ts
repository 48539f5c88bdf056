/** A refusal by the hub: `kind` is one of its error kinds, the message is for people. */
export class HubError extends Error {
  readonly kind: string;
  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Asks the hub's JSON API; the shape of the answer is the hub's promise. @throws HubError */
export async function ask<Answer = unknown>(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(`/api/v1/${path}`, {
      method,
      headers: { 'x-gantry': '1', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new HubError('unavailable', 'The hub does not answer. Check the network and try again.');
  }
  const answer: unknown = response.status === 204 ? null : await response.json().catch(() => null);
  if (response.ok) return answer as Answer;
  const { kind = 'internal', message = `The hub answered ${response.status}.` } = (answer ?? {}) as {
    kind?: string;
    message?: string;
  };
  throw new HubError(kind, message);
}

/** `path?a=b` with what is given. */
export function withQuery(path: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
  return `${path}?${search}`;
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
