import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { GantryError, isGantryError, throwIfAborted } from '#errors/index.ts';
import type { Reference } from '#oci/index.ts';
import { createAuthorizer, parseChallenge } from './authorization.ts';
import { retryAfter } from './rate-limit.ts';
import type { RequestOptions } from './registry-client.ts';
import type { RegistryHosts } from './registry-hosts.ts';
import type { Outgoing, Transport } from './transport.ts';

const apiHost = (registry: string): string => (registry === 'docker.io' ? 'registry-1.docker.io' : registry);
const redirects = new Set([301, 302, 303, 307, 308]);
/** A registry that asks for more patience than this is believed to mean no. */
const longestWait = 60_000;
const mostWaits = 3;

export interface Call {
  readonly method: Outgoing['method'];
  /** The registry's `scheme://host[:port]`; it alone is told who we are. */
  readonly base: string;
  readonly path: string | URL;
  readonly scope: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Outgoing['body'];
}

export const pullScope = ({ repository }: Reference) => `repository:${repository}:pull`;

/** Requests to registries: who we are, redirects, waiting where one is asked to, mirrors first. */
export function createRegistryCalls(transport: Transport, hosts: RegistryHosts) {
  const authorizer = createAuthorizer(transport);

  const baseOf = async (registry: string, signal: AbortSignal | undefined): Promise<string> => {
    const host = apiHost(registry);
    return `${await transport.schemeOf(host, signal)}://${host}`;
  };

  const follow = async (first: Outgoing): Promise<IncomingMessage> => {
    let outgoing = first;
    for (let hops = 0; ; hops++) {
      const response = await transport.send(outgoing);
      const location = response.headers.location;
      const reads = outgoing.method === 'GET' || outgoing.method === 'HEAD';
      if (!reads || location === undefined || !redirects.has(response.statusCode ?? 0)) return response;
      response.resume();
      if (hops === 10) throw new GantryError('unavailable', `${first.url.host} redirects in a circle`);
      const url = new URL(location, outgoing.url);
      if (outgoing.url.protocol === 'https:' && url.protocol !== 'https:' && !hosts.isInsecure(url.host))
        throw new GantryError('unavailable', `${outgoing.url.host} redirects to plain HTTP at ${url.host}; refused`);
      const headers = { ...outgoing.headers };
      if (url.origin !== outgoing.url.origin) delete headers.authorization;
      outgoing = { ...outgoing, url, headers };
    }
  };

  /** Waits as long as a registry that limits requests asks for, if it names a time, and tries again. */
  const patiently = async (outgoing: Outgoing): Promise<IncomingMessage> => {
    for (let waits = 0; ; waits++) {
      const response = await follow(outgoing);
      const wait = response.statusCode === 429 || response.statusCode === 503 ? retryAfter(response) : undefined;
      if (wait === undefined || wait > longestWait || waits === mostWaits) return response;
      response.resume();
      const { signal } = outgoing;
      await delay(wait, undefined, signal === undefined ? {} : { signal }).catch(() => throwIfAborted(signal));
    }
  };

  const call = async (call: Call, { credentials, signal }: RequestOptions): Promise<IncomingMessage> => {
    const url = new URL(call.path, call.base);
    const host = new URL(call.base).host;
    // An upload may be continued at another host; that one is not told who we are.
    const own = url.host === host;
    const send = (authorization: string | undefined) =>
      patiently({
        method: call.method,
        url,
        headers: { ...call.headers, ...(authorization === undefined || !own ? {} : { authorization }) },
        body: call.body,
        signal,
      });
    const response = await send(authorizer.known(host, call.scope, credentials));
    if (response.statusCode !== 401 || !own) return response;
    const challenge = parseChallenge(response.headers['www-authenticate']);
    if (challenge === undefined) return response;
    const authorization = await authorizer.answer(host, challenge, call.scope, credentials, signal);
    if (authorization === undefined) return response;
    response.resume();
    return await send(authorization);
  };

  return {
    call,
    baseOf,
    /** The token that stands for an account at a host from now on, where the host gives such a one. */
    identityTokenOf: authorizer.identityToken,
    /** Reads from the first mirror that has it, anonymously, else from the registry itself. */
    async read(
      ref: Reference,
      method: 'GET' | 'HEAD',
      path: string,
      headers: Readonly<Record<string, string>>,
      request: RequestOptions,
    ): Promise<{ response: IncomingMessage; host: string }> {
      const scope = pullScope(ref);
      for (const mirror of request.passMirrors ? [] : hosts.mirrorsOf(ref.registry)) {
        try {
          const response = await call({ method, base: mirror, path, scope, headers }, { signal: request.signal });
          if ((response.statusCode ?? 500) < 300) return { response, host: new URL(mirror).host };
          response.resume();
        } catch (error) {
          if (isGantryError(error, 'cancelled')) throw error;
        }
      }
      const base = await baseOf(ref.registry, request.signal);
      return { response: await call({ method, base, path, scope, headers }, request), host: new URL(base).host };
    },
  };
}

export type RegistryCalls = ReturnType<typeof createRegistryCalls>;
