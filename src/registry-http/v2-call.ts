import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '#registry/index.ts';
import type { V2Path } from './v2-path.ts';

/** One request to the distribution API: who sends it, and where the answer goes. */
export interface V2Request {
  readonly query: URLSearchParams;
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** With what its path names. */
export interface V2Call<Kind extends V2Path['kind']> extends V2Request {
  readonly path: Extract<V2Path, { kind: Kind }>;
}

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type V2Handler<Kind extends V2Path['kind']> = (call: V2Call<Kind>) => Promise<FastifyReply> | FastifyReply;

/** The methods of one endpoint; HEAD is answered by GET's handler. */
export type V2Endpoint<Kind extends V2Path['kind']> = Readonly<Partial<Record<Method, V2Handler<Kind>>>>;
export type V2Endpoints = { readonly [Kind in V2Path['kind']]: V2Endpoint<Kind> };

/** True where the client has what it asks for already (RFC 9110 §13.1.2). */
export const isFresh = (request: FastifyRequest, digest: string): boolean =>
  (request.headers['if-none-match'] ?? '')
    .split(',')
    .some((tag) => tag.trim().replace(/^W\//, '') === `"${digest}"` || tag.trim() === '*');
