// A web server that counts visits by name. SIGTERM ends it once its answers are given.
import { createServer } from 'node:http';
import { page } from './page.js';

const visits = new Map();
const server = createServer((request, response) => {
  const name = new URL(request.url, 'http://here').searchParams.get('name') ?? 'World';
  visits.set(name, (visits.get(name) ?? 0) + 1);
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(page(name, visits.get(name)));
});
server.listen(8080, () => console.log('listening on port 8080'));
process.once('SIGTERM', () => {
  server.close(() => console.log('closed'));
  server.closeAllConnections?.();
});
