import type { FastifyReply, FastifyRequest } from 'fastify';
import { type OpenConnection, streamType } from './attach-streams.ts';

/** Streams as the bodies of request and reply, where a client asks for no upgrade. */
export const asBody =
  (request: Pick<FastifyRequest, 'raw' | 'minor'>, reply: FastifyReply): OpenConnection =>
  (raw) => {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': streamType(raw, request.minor) });
    reply.raw.flushHeaders();
    return { input: request.raw, output: reply.raw };
  };
