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
  const shown = async (repository: Repository, limit: number) => ({
    name: repository.name,
    owner: namespaceOf(repository.name),
    private: repository.private,
    immutable: repository.immutable,
    updated: isoTime(repository.updated),
    pulls: await pulls.total(repository),
    tags: (await tags.newest(repository, limit)).map(({ name, digest, mediaType, imageSize, updated }) => ({
      name,
      digest,
      mediaType,
      size: imageSize,
      updated: isoTime(updated),
    })),
  });
  const readable = async (request: FastifyRequest): Promise<Repository> =>
    await access.toPull(await callerOf(deps, request), required(request, 'name'));
  const deletable = async (request: FastifyRequest): Promise<Repository> =>
    await access.toDelete({ account: await signedIn(deps, request), scopes: undefined }, required(request, 'name'));
  const manageable = async (request: FastifyRequest): Promise<Repository> =>
    await access.toManage({ account: await signedIn(deps, request), scopes: undefined }, required(request, 'name'));
  const note = async (request: FastifyRequest, action: string, subject: string) =>
    await audit.record((await signedIn(deps, request)).name, action, subject, request.ip);

  app.get('/repositories', async (request) => {
    const query = queryOf(request);
    const page = { last: query.get('last') ?? '', limit: pageSize + 1 };
    const of = query.get('of') ?? 'all';
    const caller = await callerOf(deps, request);
    const found =
      of === 'all'
        ? await repositories.readable(query.has('q') ? caller : anonymous, page, query.get('q') ?? '')
        : await repositories.ownedBy(
            of === 'me' ? (await signedIn(deps, request)).id : (await accounts.mustFind(of)).id,
            caller,
            page,
          );
    return {
      repositories: await Promise.all(found.slice(0, pageSize).map((repository) => shown(repository, tagsListed))),
      more: found.length > pageSize,
    };
  });
  app.get('/repository', async (request) => {
    const repository = await readable(request);
    return {
      ...(await shown(repository, tagsShown)),
      readme: await repositories.readme(repository),
      actions: await access.actions(await callerOf(deps, request), repository),
      perDay: (await pulls.perDay(repository, daysShown)).map(({ count }) => count),
    };
  });
  app.get('/image', async (request) => {
    const repository = await readable(request);
    const facts = await imageFacts(deps, repository, required(request, 'reference'));
    const referrers = (await manifests.referrers(repository, facts.digest)).map(
      ({ digest, size, mediaType, artifactType }) => ({ digest, size, artifactType: artifactType ?? mediaType }),
    );
    return { ...facts, referrers };
  });
  app.patch('/repository', async (request) => {
    const repository = await manageable(request);
    const change = fields(request, { private: 'boolean?', immutable: 'boolean?', readme: 'string?' });
    if (change.private !== undefined) await repositories.setPrivate(repository, change.private);
    if (change.immutable !== undefined) await repositories.setImmutable(repository, change.immutable);
    if (change.readme !== undefined) await repositories.setReadme(repository, change.readme);
    await note(request, 'repository.change', repository.name);
    return await shown((await repositories.find(repository.name)) ?? repository, tagsListed);
  });
  app.delete('/repository', async (request, reply) => {
    const repository = await manageable(request);
    await repositories.remove(repository);
    await note(request, 'repository.delete', repository.name);
    return reply.code(204).send();
  });
  app.delete('/tag', async (request, reply) => {
    const tag = required(request, 'tag');
    const repository = await deletable(request);
    if (tag.includes(':')) throw new GantryError('invalid', `"${tag}" is not a tag`, { code: 'tag-invalid' });
    await manifests.delete(repository, tag);
    await note(request, 'tag.delete', `${repository.name}:${tag}`);
    return reply.code(204).send();
  });
}
