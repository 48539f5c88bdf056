/** A refusal by the hub: `kind` is one of its error kinds, the message is for people. */
export class HubError extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

/** Asks the hub's JSON API; resolves with the answer's JSON (null for none). @throws HubError */
export async function ask(method, path, body) {
  let response;
  try {
    response = await fetch(`/api/v1/${path}`, {
      method,
      headers: { 'x-gantry': '1', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new HubError('unavailable', 'The hub does not answer. Check the network and try again.');
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new HubError(answer.kind ?? 'internal', answer.message ?? `The hub answered ${response.status}.`);
}
