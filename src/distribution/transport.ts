import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import { isLoopback, type RegistryHosts } from './registry-hosts.ts';

/** One HTTP request; a streamed body is opened anew for each attempt. */
export interface Outgoing {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | (() => Promise<Readable>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Transport extends Disposable {
  /** Resolves with the response's head, whatever its status. @throws GantryError unavailable, cancelled */
  send(outgoing: Outgoing): Promise<IncomingMessage>;
  /** `https` unless the host may be spoken to in the clear and does not answer TLS. */
  schemeOf(host: string, signal?: AbortSignal): Promise<'http' | 'https'>;
  /** Whether a host (`name:port`) may be spoken to in the clear. */
  mayBeClear(host: string): boolean;
}

export interface TransportOptions {
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in either case; loopback is never asked for through a proxy. */
  readonly proxyEnvironment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** A registry may work long on what it has just been sent. */
const idleMilliseconds = (method: Outgoing['method']): number => (method === 'PUT' ? 600_000 : 60_000);
const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

/** HTTP and HTTPS with kept-alive connections and one retry where a kept one had gone stale. */
export function createTransport(hosts: RegistryHosts, options: TransportOptions = {}): Transport {
  const proxyEnv = options.proxyEnvironment ?? {};
  const agents = new Map<string, HttpAgent>();
  /** Each host has connections of its own, with the certificates that are meant for it. */
  const agentOf = ({ protocol, host }: URL): HttpAgent => {
    const known = agents.get(`${protocol}//${host}`);
    if (known !== undefined) return known;
    const proxied = isLoopback(host) ? {} : { proxyEnv: { ...proxyEnv } };
    const agent =
      protocol === 'https:'
        ? new HttpsAgent({ keepAlive: true, ...proxied, ...hosts.tlsOf(host) })
        : new HttpAgent({ keepAlive: true, ...proxied });
    agents.set(`${protocol}//${host}`, agent);
    return agent;
  };
  const { mayBeClear } = hosts;
  const schemes = new Map<string, 'http' | 'https'>();

  const attempt = (outgoing: Outgoing, body: Uint8Array | Readable | undefined) => {
    const { url, method, headers = {}, signal } = outgoing;
    const secure = url.protocol === 'https:';
    const agent = agentOf(url);
    const request = (secure ? httpsRequest : httpRequest)(url, {
      method,
      agent,
      headers: { 'user-agent': 'gantry/0.1', ...headers },
      ...(signal === undefined ? {} : { signal }),
    });
    const idle = idleMilliseconds(method);
    request.setTimeout(idle, () => {
      request.destroy(Object.assign(new Error(`no answer within ${idle / 1000} s`), { code: 'ETIMEDOUT' }));
    });
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.once('error', reject);
    });
    // Errors after the answer belong to the response stream; without a listener they would end the process.
    request.on('error', () => {});
    if (body === undefined) request.end();
    else if (body instanceof Uint8Array) request.end(body);
    else
      pipeline(body, request).catch((error: unknown) => {
        request.destroy(error instanceof Error ? error : new Error(messageOf(error)));
      });
    return { request, response };
  };

  const send = async (outgoing: Outgoing): Promise<IncomingMessage> => {
    for (let tries = 0; ; tries++) {
      const body = typeof outgoing.body === 'function' ? await outgoing.body() : outgoing.body;
      const { request, response } = attempt(outgoing, body);
      try {
        return await response;
      } catch (error) {
        if (outgoing.signal?.aborted) throw new GantryError('cancelled', 'the request was cancelled', { cause: error });
        // How much of a streamed body has arrived only who sends it can ask.
        const streamed = typeof outgoing.body === 'function';
        const stale = !streamed && request.reusedSocket && /^(?:ECONNRESET|EPIPE)$/.test(codeOf(error));
        if (stale && tries < 3) continue;
        throw new GantryError(
          'unavailable',
          `cannot reach the registry ${outgoing.url.host}: ${messageOf(error) || codeOf(error)}; check its name, that it is up, and the proxy or firewall between`,
          { code: 'registry-unreachable', cause: error },
        );
      }
    }
  };

  return {
    send,
    mayBeClear,
    async schemeOf(host, signal) {
      if (!mayBeClear(host)) return 'https';
      const known = schemes.get(host);
      if (known !== undefined) return known;
      let scheme: 'http' | 'https' = 'https';
      try {
        const answer = await send({ method: 'GET', url: new URL(`https://${host}/v2/`), signal });
        answer.resume();
      } catch (error) {
        if (signal?.aborted || !isGantryError(error, 'unavailable')) throw error;
        const cause = error instanceof Error ? error.cause : undefined;
        // A certificate that does not verify is a finding, never a reason to speak in the clear.
        if (/CERT|SELF_SIGNED|UNABLE_TO/.test(codeOf(cause))) return 'https';
        // Nobody is there now; who is there later may speak TLS.
        if (/^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH)$/.test(codeOf(cause))) return 'http';
        scheme = 'http';
      }
      schemes.set(host, scheme);
      return scheme;
    },
    [Symbol.dispose]() {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}
