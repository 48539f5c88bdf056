import { request } from 'node:http';

/** One call of an engine's API over its socket. @throws Error with what the engine said, where it refuses */
export const callApi = (socketPath: string, method: string, path: string, body?: object): Promise<unknown> =>
  new Promise((done, fail) => {
    const headers = { 'content-type': 'application/json' };
    const outgoing = request({ socketPath, method, path, headers }, async (response) => {
      const text = Buffer.concat((await response.toArray()) as Buffer[]).toString('utf8');
      if ((response.statusCode ?? 500) >= 400) fail(new Error(`${method} ${path}: ${text}`));
      else done(text === '' ? {} : JSON.parse(text));
    });
    outgoing.once('error', fail);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
