import type { FastifyReply, FastifyRequest } from 'fastify';
import { GantryError } from '#errors/index.ts';
import { type Account, credentialLifetime } from '#registry/index.ts';
import type { HubDeps } from '../deps.ts';
import { ownUrl } from '../own-url.ts';

const secure = (request: FastifyRequest): boolean => request.protocol === 'https';
/** Under TLS the name itself forbids other hosts and plain HTTP to set it (RFC 6265bis: __Host-). */
const cookieName = (request: FastifyRequest): string => (secure(request) ? '__Host-gantry' : 'gantry');

/** Signs a browser in: a cookie that no script reads and no other site sends. */
export async function openSession(
  { credentials }: Pick<HubDeps, 'credentials'>,
  account: Account,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  setCookie(request, reply, await credentials.issue(account, 'session'), credentialLifetime.session / 1000);
}

export async function closeSession(
  { credentials }: Pick<HubDeps, 'credentials'>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  await credentials.revoke(sessionOf(request));
  setCookie(request, reply, '', 0);
}

export const sessionAccount = async (
  { credentials }: Pick<HubDeps, 'credentials'>,
  request: FastifyRequest,
): Promise<Account | undefined> => await credentials.read(sessionOf(request), 'session');

/**
 * Lets a change through only where our own page asks for it: a header that a form of another site cannot set, and an
 * Origin that is ours. @throws GantryError forbidden (code `foreign-origin`)
 */
export function requireOwnPage(request: FastifyRequest): void {
  const { origin, 'sec-fetch-site': site, 'x-gantry': header } = request.headers;
  if (header === undefined)
    throw new GantryError('forbidden', 'a change needs the header "X-Gantry: 1"', { code: 'foreign-origin' });
  if ((origin !== undefined && origin !== ownUrl(request)) || (site !== undefined && site !== 'same-origin'))
    throw new GantryError('forbidden', 'the request comes from a page of another site', { code: 'foreign-origin' });
}

function setCookie(request: FastifyRequest, reply: FastifyReply, value: string, seconds: number): void {
  const flags = `Path=/; HttpOnly; SameSite=Strict${secure(request) ? '; Secure' : ''}`;
  reply.header('set-cookie', `${cookieName(request)}=${value}; Max-Age=${seconds}; ${flags}`);
}

function sessionOf(request: FastifyRequest): string {
  const wanted = `${cookieName(request)}=`;
  const found = (request.headers.cookie ?? '').split(';').find((pair) => pair.trim().startsWith(wanted));
  return found?.trim().slice(wanted.length) ?? '';
}
