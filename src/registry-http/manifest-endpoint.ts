import { manifestLimit } from '#registry/index.ts';
import type { HubDeps } from './deps.ts';
import { readBody } from './read-body.ts';
import { isFresh, type V2Endpoint, type V2Handler } from './v2-call.ts';

/** Manifests and tags (distribution-spec: pulling manifests, pushing manifests, deleting tags and manifests). */
export function manifestEndpoint({
  access,
  manifests,
  pulls,
  audit,
  mirrors,
  webhooks,
}: Pick<HubDeps, 'access' | 'manifests' | 'pulls' | 'audit' | 'mirrors' | 'webhooks'>): V2Endpoint<'manifest'> {
  const read: V2Handler<'manifest'> = async ({ path: { name, reference }, caller, request, reply }) => {
    if (await mirrors.covers(name)) {
      const { stale } = await mirrors.manifest(caller, name, reference);
      if (stale) reply.header('warning', '110 - "the upstream does not answer; this is what it said before"');
    }
    const repository = await access.toPull(caller, name);
    const manifest = await manifests.find(repository, reference);
    reply.header('docker-content-digest', manifest.digest).header('etag', `"${manifest.digest}"`);
    if (isFresh(request, manifest.digest)) return reply.code(304).send();
    reply.header('content-type', manifest.mediaType).header('content-length', manifest.size);
    if (request.method === 'HEAD') return reply.send();
    pulls.count(repository);
    return reply.send(await manifests.read(manifest));
  };
  return {
    GET: read,
    HEAD: read,
    async PUT({ path: { name, reference }, caller, request, reply }) {
      const target = await access.toPush(caller, name);
      const bytes = await readBody(request.raw, manifestLimit);
      const { digest, subject } = await manifests.put(target, reference, request.headers['content-type'], bytes);
      await audit.record(target.account.name, 'manifest.push', `${name}${joinerOf(reference)}${reference}`, request.ip);
      await webhooks.tell(target.owner, {
        event: 'push',
        repository: name,
        reference,
        digest,
        actor: target.account.name,
        time: new Date().toISOString(),
      });
      if (subject !== undefined) reply.header('oci-subject', subject);
      return reply
        .code(201)
        .header('location', `/v2/${name}/manifests/${digest}`)
        .header('docker-content-digest', digest)
        .send();
    },
    async DELETE({ path: { name, reference }, caller, request, reply }) {
      await manifests.delete(await access.toDelete(caller, name), reference);
      const who = caller.account?.name ?? '';
      await audit.record(who, 'manifest.delete', `${name}${joinerOf(reference)}${reference}`, request.ip);
      return reply.code(202).send();
    },
  };
}

const joinerOf = (reference: string): string => (reference.includes(':') ? '@' : ':');
