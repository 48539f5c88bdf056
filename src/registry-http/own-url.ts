import type { FastifyRequest } from 'fastify';
import { GantryError } from '#errors/index.ts';

/** `name`, `name:port`, `192.0.2.1:5000` or `[2001:db8::1]:5000`, and nothing that could end a quoted string. */
const authority = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/;

/** The hub's address as this client sees it, `https://hub.example:5000`. @throws GantryError invalid for a bad Host */
export function ownUrl(request: FastifyRequest): string {
  const host = request.headers.host ?? '';
  if (host.length > 255 || !authority.test(host))
    throw new GantryError('invalid', `the Host header "${host.slice(0, 255)}" is not a host name with a port`);
  return `${request.protocol}://${host}`;
}
