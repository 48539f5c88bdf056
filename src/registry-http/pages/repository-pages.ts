import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GantryError } from '#errors/index.ts';
import { anonymous, imageFacts, namespaceOf, type Repository } from '#registry/index.ts';
import type { HubDeps } from '../deps.ts';
import { callerOf, fields, isoTime, queryOf, required, signedIn } from './page-call.ts';

const pageSize = 50;
const tagsListed = 5;
const tagsShown = 500;
const daysShown = 30;

/** Lists of repositories, and one with its tags, images and settings. */
export function repositoryPages(app: FastifyInstance, deps: HubDeps): void {
  const { accounts, repositories, manifests, tags, access, pulls, audit } = deps;
  const shown = (repository: Repository, limit: number) => ({
    name: repository.name,
    owner: namespaceOf(repository.name),
    private: repository.private,
    immutable: repository.immutable,
    updated: isoTime(repository.updated),
    pulls: pulls.total(repository),
    tags: tags.newest(repository, limit).map(({ name, digest, mediaType, imageSize, updated }) => ({
      name,
      digest,
      mediaType,
      size: imageSize,
      updated: isoTime(updated),
    })),
  });
  const readable = (request: FastifyRequest): Repository =>
    access.toPull(callerOf(deps, request), required(request, 'name'));
  const deletable = (request: FastifyRequest): Repository =>
    access.toDelete({ account: signedIn(deps, request), scopes: undefined }, required(request, 'name'));
  const manageable = (request: FastifyRequest): Repository =>
    access.toManage({ account: signedIn(deps, request), scopes: undefined }, required(request, 'name'));
  const note = (request: FastifyRequest, action: string, subject: string) =>
    audit.record(signedIn(deps, request).name, action, subject, request.ip);

  app.get('/repositories', async (request) => {
    const query = queryOf(request);
    const page = { last: query.get('last') ?? '', limit: pageSize + 1 };
    const of = query.get('of') ?? 'all';
    const caller = callerOf(deps, request);
    const found =
      of === 'all'
        ? repositories.readable(query.has('q') ? caller : anonymous, page, query.get('q') ?? '')
        : repositories.ownedBy(of === 'me' ? signedIn(deps, request).id : accounts.mustFind(of).id, caller, page);
    return {
      repositories: found.slice(0, pageSize).map((repository) => shown(repository, tagsListed)),
      more: found.length > pageSize,
    };
  });
  app.get('/repository', async (request) => {
    const repository = readable(request);
    return {
      ...shown(repository, tagsShown),
      readme: repositories.readme(repository),
      actions: access.actions(callerOf(deps, request), repository),
      perDay: pulls.perDay(repository, daysShown).map(({ count }) => count),
    };
  });
  app.get('/image', async (request) => {
    const repository = readable(request);
    const facts = await imageFacts(deps, repository, required(request, 'reference'));
    const referrers = manifests
      .referrers(repository, facts.digest)
      .map(({ digest, size, mediaType, artifactType }) => ({
        digest,
        size,
        artifactType: artifactType ?? mediaType,
      }));
    return { ...facts, referrers };
  });
  app.patch('/repository', async (request) => {
    const repository = manageable(request);
    const change = fields(request, { private: 'boolean?', immutable: 'boolean?', readme: 'string?' });
    if (change.private !== undefined) repositories.setPrivate(repository, change.private);
    if (change.immutable !== undefined) repositories.setImmutable(repository, change.immutable);
    if (change.readme !== undefined) repositories.setReadme(repository, change.readme);
    note(request, 'repository.change', repository.name);
    return shown(repositories.find(repository.name) ?? repository, tagsListed);
  });
  app.delete('/repository', async (request, reply) => {
    const repository = manageable(request);
    repositories.remove(repository);
    note(request, 'repository.delete', repository.name);
    return reply.code(204).send();
  });
  app.delete('/tag', async (request, reply) => {
    const tag = required(request, 'tag');
    const repository = deletable(request);
    if (tag.includes(':')) throw new GantryError('invalid', `"${tag}" is not a tag`, { code: 'tag-invalid' });
    manifests.delete(repository, tag);
    note(request, 'tag.delete', `${repository.name}:${tag}`);
    return reply.code(204).send();
  });
}
