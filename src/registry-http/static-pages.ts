import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { FastifyInstance } from 'fastify';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const policy =
  "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'";

/** The files of one directory, read once: `index.html` at `/`, `x.html` at `/x`, the rest below `/assets/`. */
export async function staticPages(app: FastifyInstance, { pages }: { readonly pages: string }): Promise<void> {
  for (const file of readdirSync(pages)) {
    const extension = extname(file);
    const type = types[extension];
    if (type === undefined) continue;
    const bytes = readFileSync(`${pages}/${file}`);
    const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
    const page = file.slice(0, -extension.length);
    const url = extension === '.html' ? (page === 'index' ? '/' : `/${page}`) : `/assets/${file}`;
    app.get(url, (request, reply) => {
      reply.header('content-security-policy', policy).header('cache-control', 'no-cache').header('etag', etag);
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      return reply.type(type).send(bytes);
    });
  }
}
