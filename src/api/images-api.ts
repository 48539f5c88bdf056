import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { applyChanges } from '#builder/index.ts';
import { GantryError } from '#errors/index.ts';
import type { Image, ProgressEvent, RemovedName } from '#images/index.ts';
import type { Platform } from '#oci/index.ts';
import type { ApiDeps } from './deps.ts';
import { imageHistory, imageInspection, imageSummary, sharedSizes } from './image-shapes.ts';
import { isOlderThan, labelsMatch } from './prune-filters.ts';
import { credentialsOf, filters, flag, labelsFit, type Query, queryValues, refuseFilters } from './query.ts';
import { clientSignal, jsonLines } from './streams.ts';

interface Route {
  Params: { '*': string };
  Querystring: Query;
}

/**
 * A progress event as Docker's JSON line. Lines of a layer carry a progressDetail even where nothing is known, since by
 * it a client tells a layer's row from a line of its own.
 */
export const progressLine = ({ id, status, current, total }: ProgressEvent) => ({
  status,
  ...(id === undefined ? {} : { id }),
  ...(current !== undefined
    ? { progressDetail: { current, ...(total === undefined ? {} : { total }) } }
    : id !== undefined && /^[0-9a-f]{12}$/.test(id)
      ? { progressDetail: {} }
      : {}),
});

/** `os/architecture[/variant]` of a query. @throws GantryError invalid */
function platformOf(text: string | undefined): { platform?: Platform } {
  if (text === undefined || text === '') return {};
  const [os = '', architecture = '', variant, ...more] = text.split('/');
  if (os === '' || architecture === '' || more.length > 0)
    throw new GantryError(
      'invalid',
      `"${text}" is not a platform; expected os/architecture[/variant], e.g. linux/amd64`,
    );
  return { platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } };
}

const removedName = (removed: RemovedName) =>
  'untagged' in removed ? { Untagged: removed.untagged } : { Deleted: removed.deleted };

const withTag = (name: string, tag: string | undefined) =>
  tag === undefined || tag === '' ? name : tag.includes(':') ? `${name}@${tag}` : `${name}:${tag}`;

/** /images, /auth and /distribution. Names hold slashes, so the action is the path's last part. */
export function imagesApi(app: FastifyInstance, { images, containers, registry, events, host }: ApiDeps): void {
  const users = (id: string) => containers.list().filter((c) => c.imageId === id);
  app.get<Route>('/images/json', async ({ query }) => {
    const wanted = filters(query.filters);
    refuseFilters(wanted, ['reference', 'dangling', 'label', 'before', 'since', 'until']);
    const all = await images.list();
    const createdOf = async (name: string | undefined) =>
      name === undefined ? undefined : Date.parse((await images.get(name)).config.created ?? '');
    const [before, since] = [await createdOf(wanted.get('before')?.[0]), await createdOf(wanted.get('since')?.[0])];
    const shared = flag(query['shared-size']) ? sharedSizes(images, all) : undefined;
    const patterns = wanted.get('reference')?.map(
      (p) =>
        new RegExp(
          `^${p
            .replace(/[.+^${}()|[\]\\]/g, '\\$&')
            .replaceAll('*', '[^/]*')
            .replaceAll('?', '.')}$`,
        ),
    );
    const dangling = wanted.get('dangling')?.[0];
    return all
      .filter(
        (image) =>
          (patterns === undefined ||
            image.tags.some((tag) => patterns.some((p) => p.test(tag) || p.test(tag.replace(/:[^:/]*$/, ''))))) &&
          (dangling === undefined || flag(dangling) === (image.tags.length === 0)) &&
          (before === undefined || Date.parse(image.config.created ?? '') < before) &&
          (since === undefined || Date.parse(image.config.created ?? '') > since) &&
          isOlderThan(image.config.created ?? '1970-01-01T00:00:00Z', wanted) &&
          labelsFit(image.config.config?.Labels ?? {}, wanted.get('label')),
      )
      .toSorted((a, b) => (b.config.created ?? '').localeCompare(a.config.created ?? ''))
      .map((image) => imageSummary(image, users(image.id).length, shared?.get(image.id)));
  });
  app.post<Route & { Body: Readable }>('/images/create', async ({ query, headers, body, raw }, reply) => {
    const signal = clientSignal(reply);
    return jsonLines(reply, async (send) => {
      if (query.fromSrc !== undefined) {
        if (query.fromSrc !== '-')
          throw new GantryError('unsupported', `import from "${query.fromSrc}": only a stream ("-") is supported`);
        let changes: ReturnType<typeof applyChanges>;
        try {
          changes = applyChanges({}, queryValues(raw.url, 'changes'));
        } catch (error) {
          // A client that is still sending does not hear an answer.
          for await (const _ of body);
          throw error;
        }
        const image = await images.import(body, {
          ...(query.repo ? { reference: withTag(query.repo, query.tag) } : {}),
          ...(query.message ? { message: query.message } : {}),
          changes,
          ...platformOf(query.platform),
          signal,
        });
        send({ status: image.id });
        return;
      }
      if (!query.fromImage) throw new GantryError('invalid', 'no image given; set fromImage or fromSrc');
      const reference = withTag(query.fromImage, query.tag);
      const image = await images.pull(reference, {
        credentials: credentialsOf(headers['x-registry-auth']),
        ...platformOf(query.platform),
        signal,
        onProgress: (event) => send(progressLine(event)),
      });
      events.publish({ type: 'image', action: 'pull', id: image.id, attributes: { name: reference } });
    });
  });
  app.post<Route & { Body: Readable }>('/images/load', async ({ body }, reply) => {
    const signal = clientSignal(reply);
    return jsonLines(reply, async (send) => {
      for (const name of await images.load(body, { signal, onProgress: (event) => send(progressLine(event)) }))
        send({ stream: `Loaded image${name.startsWith('sha256:') ? ' ID' : ''}: ${name}\n` });
    });
  });
  const historyOf = (image: Image) => imageHistory(image, images.layerSizes(image));
  app.post<{ Querystring: Query }>('/images/prune', async ({ query }) => {
    const wanted = filters(query.filters);
    refuseFilters(wanted, ['dangling', 'until', 'label', 'label!']);
    const { removed, reclaimed } = await images.prune({
      all: !flag(wanted.get('dangling')?.[0], true),
      fits: ({ config }) =>
        isOlderThan(config.created ?? '1970-01-01T00:00:00Z', wanted) &&
        labelsMatch(config.config?.Labels ?? {}, wanted),
      inUseBy: (id) => users(id)[0]?.id.slice(0, 12),
    });
    events.publish({ type: 'image', action: 'prune', id: '', attributes: { reclaimed: String(reclaimed) } });
    return { ImagesDeleted: removed.length === 0 ? null : removed.map(removedName), SpaceReclaimed: reclaimed };
  });
  const save = async (names: readonly string[]) => {
    for (const name of names) await images.get(name);
    return images.save(names);
  };
  app.get<Route>('/images/get', async (request, reply) => {
    const names = queryValues(request.raw.url, 'names').flatMap((n) => n.split(','));
    return reply.type('application/x-tar').send(await save(names));
  });
  app.get<Route>('/images/*', async ({ params }, reply) => {
    const [, name = '', action = ''] = /^(.*)\/(json|history|get)$/.exec(params['*']) ?? [];
    switch (action) {
      case 'json':
        return imageInspection(await images.get(name), host.storageDriver);
      case 'history':
        return historyOf(await images.get(name));
      case 'get':
        return reply.type('application/x-tar').send(await save([name]));
      default:
        throw new GantryError('not-found', `page not found: /images/${params['*']}`);
    }
  });
  app.post<Route>('/images/*', async ({ params, query, headers }, reply) => {
    const [, name = '', action = ''] = /^(.*)\/(push|tag)$/.exec(params['*']) ?? [];
    switch (action) {
      case 'tag':
        await images.tag(name, withTag(query.repo ?? '', query.tag));
        return reply.code(201).send();
      case 'push': {
        const reference = withTag(name, query.tag);
        const signal = clientSignal(reply);
        await images.get(reference);
        return jsonLines(reply, async (send) => {
          const pushed = await images.push(reference, {
            credentials: credentialsOf(headers['x-registry-auth']),
            signal,
            onProgress: (event) => send(progressLine(event)),
          });
          send({ progressDetail: {}, aux: { Tag: query.tag ?? 'latest', Digest: pushed.digest, Size: pushed.size } });
        });
      }
      default:
        throw new GantryError('not-found', `page not found: /images/${params['*']}`);
    }
  });
  app.delete<Route>('/images/*', async ({ params, query }) => {
    const removed = await images.remove(params['*'], {
      force: flag(query.force),
      inUseBy: (id) => users(id)[0]?.id.slice(0, 12),
    });
    return removed.map(removedName);
  });
  app.post<{ Body: Record<string, string> }>('/auth', async ({ body }) => {
    const address = (body.serveraddress ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '') || 'docker.io';
    const { identityToken } = await registry.login(
      address,
      body.identitytoken
        ? { identityToken: body.identitytoken }
        : { username: body.username ?? '', password: body.password ?? '' },
    );
    return { Status: 'Login Succeeded', IdentityToken: identityToken ?? '' };
  });
}
