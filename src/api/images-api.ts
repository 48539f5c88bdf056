import type { Readable } from 'node:stream';
import { applyChanges } from '#builder/index.ts';
import { GantryError } from '#errors/index.ts';
import { checkPlatform, type Image, type ProgressEvent, platformFit, type RemovedName } from '#images/index.ts';
import { parseReference } from '#oci/index.ts';
import type { ApiDeps } from './deps.ts';
import { imageFilters, imageTest } from './image-filters.ts';
import { imageHistory, imageInspection, imageSummary, manifestSummary } from './image-shapes.ts';
import { filtersOf, json, lines, type Operation, type Routes, tar } from './operation.ts';
import { platformOf } from './platform-query.ts';
import { progressLine } from './progress-line.ts';
import { isOlderThan, labelsMatch } from './prune-filters.ts';
import { credentialsOf, filters, flag, type Query, queryValues } from './query.ts';
import * as schema from './schema/image.ts';
import { flag as boolean, list, text } from './schema/schema.ts';
import { clientSignal, jsonLines } from './streams.ts';

interface Route {
  Params: { name: string };
  Querystring: Query;
}

const platform = { ...text('JSON of an OCI platform: an error where the image is for another'), since: '1.48' };
const manifests = boolean('With the manifests that an index has');

const listRoute: Operation = {
  id: 'ImageList',
  method: 'GET',
  path: '/images/json',
  summary: 'List images',
  query: {
    all: boolean('There are no intermediate ones'),
    filters: filtersOf(...imageFilters),
    'shared-size': { ...boolean('With the bytes that others have too'), since: '1.42' },
    digests: boolean('They are always there'),
    manifests: { ...manifests, since: '1.47' },
    identity: { ...boolean('Also lists the manifests; no image here has signatures'), since: '1.54' },
  },
  answers: { 200: json(list(schema.imageSummary)) },
};

const create: Operation = {
  id: 'ImageCreate',
  method: 'POST',
  path: '/images/create',
  summary: 'Pull an image, or import a root filesystem',
  query: {
    fromImage: text('What to pull'),
    fromSrc: text('- : the body is imported'),
    repo: text('Of an import: its name'),
    tag: text('A tag or digest; of a pull, absent: latest'),
    message: text('Of an import: its comment'),
    changes: text('Of an import: instructions of a Dockerfile'),
    platform: text('os/architecture[/variant]'),
  },
  body: tar,
  answers: { 200: lines(schema.progressLine) },
};

const load: Operation = {
  id: 'ImageLoad',
  method: 'POST',
  path: '/images/load',
  summary: 'Take in the images of an archive',
  query: { quiet: boolean('No progress'), platform },
  body: tar,
  answers: { 200: lines(schema.progressLine) },
};

const prune: Operation = {
  id: 'ImagePrune',
  method: 'POST',
  path: '/images/prune',
  summary: 'Remove images that no container uses',
  query: { filters: filtersOf('dangling', 'until', 'label', 'label!') },
  answers: { 200: json(schema.imagesPruned) },
};

const getAll: Operation = {
  id: 'ImageGetAll',
  method: 'GET',
  path: '/images/get',
  summary: 'Images as one archive',
  query: { names: text('May come several times'), platform },
  answers: { 200: tar },
};

const getOne: Operation = {
  id: 'ImageGet',
  method: 'GET',
  path: '/images/{name…}/get',
  summary: 'An image as an archive',
  query: { platform },
  answers: { 200: tar },
};

const inspect: Operation = {
  id: 'ImageInspect',
  method: 'GET',
  path: '/images/{name…}/json',
  summary: 'All of one image',
  query: { manifests: { ...manifests, since: '1.48' }, platform: { ...platform, since: '1.49' } },
  answers: { 200: json(schema.imageInspect) },
};

const attestations: Operation = {
  id: 'ImageAttestations',
  method: 'GET',
  path: '/images/{name…}/attestations',
  summary: 'Attestations of an image: none are kept here',
  since: '1.55',
  query: { platform, type: text('A predicate type'), statement: boolean() },
  answers: { 200: json(list(schema.attestation)) },
};

const history: Operation = {
  id: 'ImageHistory',
  method: 'GET',
  path: '/images/{name…}/history',
  summary: 'The steps that made an image',
  query: { platform },
  answers: { 200: json(list(schema.historyItem)) },
};

const push: Operation = {
  id: 'ImagePush',
  method: 'POST',
  path: '/images/{name…}/push',
  summary: 'Push a tag, or all of a repository’s',
  query: { tag: text('Absent: all'), platform: { ...platform, since: '1.46' } },
  answers: { 200: lines(schema.progressLine) },
};

const tag: Operation = {
  id: 'ImageTag',
  method: 'POST',
  path: '/images/{name…}/tag',
  summary: 'Give an image one more name',
  query: { repo: text(), tag: text() },
  answers: { 201: null },
};

const remove: Operation = {
  id: 'ImageDelete',
  method: 'DELETE',
  path: '/images/{name…}',
  summary: 'Take a name away, and with the last one the image',
  query: {
    force: boolean(),
    noprune: boolean('There are no parents without a name'),
    platforms: { ...text('JSON of OCI platforms; may come several times'), since: '1.50' },
  },
  answers: { 200: json(schema.imagesDeleted) },
};

const removedName = (removed: RemovedName) =>
  'untagged' in removed ? { Untagged: removed.untagged } : { Deleted: removed.deleted };

const withTag = (name: string, given: string | undefined) =>
  given === undefined || given === '' ? name : given.includes(':') ? `${name}@${given}` : `${name}:${given}`;

/** Images that are here, and how they come and go. */
export function imagesApi(routes: Routes, { images, containers, host }: ApiDeps): void {
  /** How many containers use each image. */
  const userCounts = (): ReadonlyMap<string, number> => {
    const counts = new Map<string, number>();
    for (const { imageId } of containers.list()) counts.set(imageId, (counts.get(imageId) ?? 0) + 1);
    return counts;
  };
  const users = (id: string) => containers.list().filter((c) => c.imageId === id);
  /** @throws GantryError not-found, also where it is for another platform than was asked for */
  const find = async (name: string, query: Query): Promise<Image> => {
    const image = await images.get(name);
    checkPlatform(image.config, platformOf(query.platform).platform, name);
    return image;
  };
  const manifestsOf = (image: Image) => [
    manifestSummary(
      image,
      users(image.id).map(({ id }) => id),
    ),
  ];

  routes.add<Route>(listRoute, async ({ query, minor }) => {
    // The older way to ask for one name.
    const named = minor < 41 && query.filter ? { reference: [query.filter] } : {};
    const wanted = new Map([...filters(query.filters), ...Object.entries(named)]);
    const all = await images.list();
    const shared = flag(query['shared-size']) ? images.sharedSizes(all) : undefined;
    const counts = userCounts();
    const fits = await imageTest(wanted, images);
    return all
      .filter(fits)
      .toSorted((a, b) => (b.config.created ?? '').localeCompare(a.config.created ?? ''))
      .map((image) => ({
        ...imageSummary(image, counts.get(image.id) ?? 0, shared?.get(image.id)),
        ...(flag(query.manifests) || flag(query.identity) ? { Manifests: manifestsOf(image) } : {}),
      }));
  });
  routes.add<Route & { Body: Readable }>(create, async (request, reply) => {
    const { query, headers, body, raw } = request;
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
      await images.pull(reference, {
        credentials: credentialsOf(headers['x-registry-auth']),
        ...platformOf(query.platform),
        signal,
        onProgress: (event) => send(progressLine(event)),
      });
    });
  });
  routes.add<Route & { Body: Readable }>(load, async ({ body, query, raw }, reply) => {
    const signal = clientSignal(reply);
    const platforms = queryValues(raw.url, 'platform');
    if (platforms.length > 1)
      throw new GantryError(
        'unsupported',
        'loading several platforms is not supported: a name stands for one image here',
      );
    return jsonLines(reply, async (send) => {
      const onProgress = flag(query.quiet) ? {} : { onProgress: (event: ProgressEvent) => send(progressLine(event)) };
      for (const name of await images.load(body, { signal, ...platformOf(platforms[0]), ...onProgress }))
        send({ stream: `Loaded image${name.startsWith('sha256:') ? ' ID' : ''}: ${name}\n` });
    });
  });
  routes.add<{ Querystring: Query }>(prune, async ({ query }) => {
    const wanted = filters(query.filters);
    const { removed, reclaimed } = await images.prune({
      all: !flag(wanted.get('dangling')?.[0], true),
      fits: ({ config }) =>
        isOlderThan(config.created ?? '1970-01-01T00:00:00Z', wanted) &&
        labelsMatch(config.config?.Labels ?? {}, wanted),
      inUseBy: (id) => users(id)[0]?.id.slice(0, 12),
    });
    return { ImagesDeleted: removed.length === 0 ? null : removed.map(removedName), SpaceReclaimed: reclaimed };
  });
  const save = async (names: readonly string[], url: string | undefined) => {
    const platforms = queryValues(url, 'platform').flatMap((one) => platformOf(one).platform ?? []);
    for (const name of names) {
      const { config } = await images.get(name);
      if (platforms.length > 0)
        checkPlatform(config, platforms.find((one) => platformFit(config, one) !== undefined) ?? platforms[0], name);
    }
    return images.save(names);
  };
  routes.add<Route>(getAll, async ({ raw }, reply) => {
    const names = queryValues(raw.url, 'names').flatMap((n) => n.split(','));
    return reply.type('application/x-tar').send(await save(names, raw.url));
  });
  routes.add<Route>(getOne, async ({ params, raw }, reply) =>
    reply.type('application/x-tar').send(await save([params.name], raw.url)),
  );
  routes.add<Route>(inspect, async ({ params, query }) => {
    if (flag(query.manifests) && query.platform)
      throw new GantryError('invalid', 'conflicting options: manifests and platform options cannot both be set');
    const image = await find(params.name, query);
    return {
      ...imageInspection(image, host.storageDriver),
      ...(flag(query.manifests) ? { Manifests: manifestsOf(image) } : {}),
    };
  });
  routes.add<Route>(attestations, async ({ params, query }) => {
    await find(params.name, query);
    return []; // a pull takes an index's image and leaves its attestations
  });
  routes.add<Route>(history, async ({ params, query }) => {
    const image = await find(params.name, query);
    return imageHistory(image, images.layerSizes(image));
  });
  routes.add<Route>(tag, async ({ params, query }, reply) => {
    await images.tag(params.name, withTag(query.repo ?? '', query.tag));
    return reply.code(201).send();
  });
  routes.add<Route>(push, async ({ params: { name }, query, headers }, reply) => {
    const signal = clientSignal(reply);
    const references = query.tag ? [withTag(name, query.tag)] : await tagsIn(name);
    for (const reference of references) await find(reference, query);
    return jsonLines(reply, async (send) => {
      for (const reference of references) {
        const pushed = await images.push(reference, {
          credentials: credentialsOf(headers['x-registry-auth']),
          signal,
          onProgress: (event) => send(progressLine(event)),
        });
        const { tag: named = 'latest' } = parseReference(reference);
        send({ progressDetail: {}, aux: { Tag: named, Digest: pushed.digest, Size: pushed.size } });
      }
    });
  });
  /** All tags of a repository. @throws GantryError not-found */
  const tagsIn = async (name: string): Promise<readonly string[]> => {
    const asked = parseReference(name, null);
    if (asked.tag !== undefined) return [name];
    const found = (await images.list())
      .flatMap(({ tags }) => tags)
      .filter((one) => {
        const { registry, repository } = parseReference(one);
        return registry === asked.registry && repository === asked.repository;
      });
    if (found.length === 0)
      throw new GantryError('not-found', `An image does not exist locally with the tag: ${name}`, {
        code: 'image-not-found',
      });
    return found;
  };
  routes.add<Route>(remove, async ({ params, query, raw }) => {
    const platforms = queryValues(raw.url, 'platforms').flatMap((one) => platformOf(one).platform ?? []);
    if (platforms.length > 0) {
      const { config } = await images.get(params.name);
      checkPlatform(
        config,
        platforms.find((one) => platformFit(config, one) !== undefined) ?? platforms[0],
        params.name,
      );
    }
    const removed = await images.remove(params.name, {
      force: flag(query.force),
      inUseBy: (id) => users(id)[0]?.id.slice(0, 12),
    });
    return removed.map(removedName);
  });
}
