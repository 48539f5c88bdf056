import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GantryError } from '#errors/index.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const policy =
  "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'";
/** Paths that are one page, drawn in the browser: the hub's own, an account's or a repository's. */
const pagePath = /^\/(?:[a-z0-9]+(?:[_-][a-z0-9]+)*(?:\/[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)?)?\/?$/;
const elsewhere = /^\/(?:api|assets|v2|token|metrics|healthz|readyz)(?:\/|$)/;

interface Asset {
  readonly type: string;
  readonly etag: string;
  readonly bytes: Readonly<Record<'identity' | 'gzip' | 'br', Buffer>>;
}

/**
 * The built pages, read once: `index.html` for every path that is a page's, the rest below `/assets/`, whose names
 * change with their content. Everything else is not found.
 * @throws GantryError unavailable where they are not built
 */
export function staticPages(app: FastifyInstance, { pages }: { readonly pages: string }): void {
  const assets = new Map<string, Asset>();
  for (const file of filesOf(pages)) {
    const type = types[extname(file)];
    if (type !== undefined) assets.set(`/${file}`, assetOf(type, readFileSync(`${pages}/${file}`)));
  }
  const index = assets.get('/index.html');
  if (index === undefined) throw notBuilt(pages);
  app.setNotFoundHandler((request, reply) => {
    const [path = ''] = request.url.split('?', 1);
    if (request.method === 'GET' || request.method === 'HEAD') {
      const asset = path.startsWith('/assets/') ? assets.get(path) : undefined;
      if (asset !== undefined) return send(asset, 'public, max-age=31536000, immutable', request, reply);
      if (pagePath.test(path) && !elsewhere.test(path)) return send(index, 'no-cache', request, reply);
    }
    return reply.code(404).send({ kind: 'not-found', message: `there is nothing at ${request.url}` });
  });
}

function send({ type, etag, bytes }: Asset, cache: string, request: FastifyRequest, reply: FastifyReply) {
  reply
    .header('content-security-policy', policy)
    .header('cache-control', cache)
    .header('etag', etag)
    .header('vary', 'accept-encoding');
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  const accepted = String(request.headers['accept-encoding'] ?? '');
  const encoding = /\bbr\b/.test(accepted) ? 'br' : /\bgzip\b/.test(accepted) ? 'gzip' : 'identity';
  if (encoding !== 'identity') reply.header('content-encoding', encoding);
  return reply.code(200).type(type).send(bytes[encoding]);
}

const assetOf = (type: string, identity: Buffer): Asset => ({
  type,
  etag: `"${createHash('sha256').update(identity).digest('base64url')}"`,
  bytes: { identity, gzip: gzipSync(identity), br: brotliCompressSync(identity) },
});

function filesOf(pages: string): readonly string[] {
  try {
    return readdirSync(pages, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    throw notBuilt(pages, error);
  }
}

const notBuilt = (pages: string, cause?: unknown) =>
  new GantryError('unavailable', `the hub's pages are not built: ${pages} has no index.html; run 'npm run setup'`, {
    cause,
  });
