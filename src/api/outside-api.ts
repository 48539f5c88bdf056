import { GantryError } from '#errors/index.ts';
import { notFound } from './operation.ts';

const swarm = /^\/(?:swarm|nodes|services|tasks|secrets|configs)(?:\/|$|\?)/;
const plugin = /^\/plugins(?:\/([^?]*))?(?:\?|$)/;

/** What a path answers that is no operation of ours: swarm's and plugins' in Docker's words, and what is not built by name. */
export function outside(method: string, url: string): unknown {
  if (swarm.test(url)) throw notInSwarm();
  const rest = plugin.exec(url);
  if (rest !== null) return plugins(method, rest[1] ?? '');
  if (/^\/(?:session|grpc)(?:\?|$)/.test(url))
    throw new GantryError('unsupported', `${method} ${url}: BuildKit is not supported yet; set DOCKER_BUILDKIT=0`);
  throw notFound(method, url);
}

export const notInSwarm = (): GantryError =>
  new GantryError(
    'unavailable',
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  );

/** There are none, and none can be added. */
function plugins(method: string, path: string): unknown {
  if (path === '' && method === 'GET') return [];
  const [, name] = /^(.+?)(?:\/(?:json|enable|disable|upgrade|push|set))?$/.exec(path) ?? [];
  if (['pull', 'create', 'privileges'].includes(path))
    throw new GantryError('unsupported', 'plugins are not supported: drivers are part of the engine');
  throw new GantryError('not-found', `plugin "${decodeURIComponent(name ?? '')}" not found`);
}
