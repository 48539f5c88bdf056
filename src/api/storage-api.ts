import { applyChanges, type CacheRecord } from '#builder/index.ts';
import { GantryError, isGantryError } from '#errors/index.ts';
import { familiarReference, type ImageRunConfig, parseReference } from '#oci/index.ts';
import { cacheRecord } from './build-api.ts';
import { summaryOf } from './container-shapes.ts';
import type { ApiDeps } from './deps.ts';
import { imageSummary } from './image-shapes.ts';
import { filtersOf, json, type Operation, type Routes } from './operation.ts';
import { isOlderThan, labelsMatch } from './prune-filters.ts';
import { filters, flag, type Query, queryValues } from './query.ts';
import { containerConfig, containerSummary, idResponse } from './schema/container.ts';
import { imageSummary as imageSummarySchema } from './schema/image.ts';
import { anything, flag as boolean, text } from './schema/schema.ts';
import { containersPruned, volume as volumeSchema } from './schema/storage.ts';
import { systemUsage } from './schema/system.ts';
import { clientSignal } from './streams.ts';
import { volumeShape } from './volumes-api.ts';

const kinds = ['container', 'image', 'volume', 'build-cache'];

const usageRoute: Operation = {
  id: 'SystemDataUsage',
  method: 'GET',
  path: '/system/df',
  summary: 'What is on the disk, and how much of it could go',
  query: {
    type: { ...text(`Only of ${kinds.join(', ')}; may come several times`), since: '1.42' },
    verbose: { ...boolean('With the items of each'), since: '1.52' },
  },
  answers: {
    200: json(systemUsage({ image: imageSummarySchema, container: containerSummary, volume: volumeSchema })),
  },
};

const prune: Operation = {
  id: 'ContainerPrune',
  method: 'POST',
  path: '/containers/prune',
  summary: 'Remove containers that do not run',
  query: { filters: filtersOf('until', 'label', 'label!') },
  answers: { 200: json(containersPruned) },
};

const commit: Operation = {
  id: 'ImageCommit',
  method: 'POST',
  path: '/commit',
  summary: 'Make an image of a container’s changes',
  query: {
    container: text(),
    repo: text(),
    tag: text(),
    comment: text(),
    author: text(),
    pause: boolean('Freeze it meanwhile; on unless false'),
    changes: text('Instructions of a Dockerfile'),
  },
  body: json(containerConfig),
  answers: { 201: json(idResponse) },
};

const check: Operation = {
  id: 'GantryCheck',
  method: 'POST',
  path: '/gantry/check',
  summary: 'Verify everything that is stored',
  query: { repair: boolean(), quick: boolean('Leaves contents unread') },
  answers: { 200: json(anything('The report')) },
};

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0);

/** A kind of things on the disk, as 1.52 and later tell of it. */
const usageOf = (
  items: readonly object[],
  numbers: { active: number; size: number; reclaimable: number },
  verbose: boolean,
) => ({
  ActiveCount: numbers.active,
  TotalCount: items.length,
  Reclaimable: numbers.reclaimable,
  TotalSize: numbers.size,
  ...(verbose ? { Items: items } : {}),
});

const runs = (status: string): boolean => ['running', 'paused', 'restarting'].includes(status);

/** /system/df, /containers/prune, /commit, and /gantry/check, which is our own. */
export function storageApi(routes: Routes, { storage, events, containers, builder }: ApiDeps): void {
  routes.add<{ Querystring: Query }>(usageRoute, async ({ raw, query }) => {
    const types = queryValues(raw.url, 'type');
    for (const type of types)
      if (!kinds.includes(type))
        throw new GantryError('invalid', `unknown object type: ${type}; expected one of ${kinds.join(', ')}`);
    const wants = (type: string) => types.length === 0 || types.includes(type);
    const verbose = flag(query.verbose);
    const usage = await storage.usage();
    const usersOf = (imageId: string) => containers.list().filter((c) => c.imageId === imageId).length;
    const inUse = usage.images.each.filter(({ image }) => usersOf(image.id) > 0);
    const idle = usage.containers.filter(({ container }) => !runs(container.state.status));
    const unused = usage.volumes.filter(({ users }) => users === 0);
    const caches = new Map((await builder.usage()).map((record) => [record.id, record]));
    return {
      ...(wants('image')
        ? {
            ImageUsage: usageOf(
              usage.images.each.map(({ image, size, shared }) => ({
                ...imageSummary(image, usersOf(image.id), shared),
                Size: size,
              })),
              {
                active: inUse.length,
                size: usage.images.total,
                reclaimable: usage.images.total - sum(inUse.map(({ size, shared }) => size - shared)),
              },
              verbose,
            ),
          }
        : {}),
      ...(wants('container')
        ? {
            ContainerUsage: usageOf(
              usage.containers.map(({ container, writable, own, image }) =>
                summaryOf(container, { writable: writable + own, whole: writable + image }, undefined),
              ),
              {
                active: usage.containers.length - idle.length,
                size: sum(usage.containers.map(({ writable, own }) => writable + own)),
                reclaimable: sum(idle.map(({ writable, own }) => writable + own)),
              },
              verbose,
            ),
          }
        : {}),
      ...(wants('volume')
        ? {
            VolumeUsage: usageOf(
              usage.volumes.map(({ volume, size, users }) => ({
                ...volumeShape(volume),
                UsageData: { Size: size, RefCount: users },
              })),
              {
                active: usage.volumes.length - unused.length,
                size: sum(usage.volumes.map(({ size }) => size)),
                reclaimable: sum(unused.map(({ size }) => size)),
              },
              verbose,
            ),
          }
        : {}),
      ...(wants('build-cache')
        ? {
            BuildCacheUsage: usageOf(
              usage.buildCache.map(({ id, size }) => ({ ...strayRecord(id), ...cached(caches.get(id)), Size: size })),
              {
                active: usage.buildCache.filter(({ id }) => caches.get(id)?.inUse).length,
                size: sum(usage.buildCache.map(({ size }) => size)),
                reclaimable: sum(usage.buildCache.filter(({ id }) => !caches.get(id)?.inUse).map(({ size }) => size)),
              },
              verbose,
            ),
          }
        : {}),
      // What is nobody's: with it the totals are all of the data root.
      Gantry: { EngineSize: usage.engine },
    };
  });

  routes.add<{ Querystring: Query }>(prune, async ({ query }) => {
    const wanted = filters(query.filters);
    const before = await storage.usage();
    const bytesOf = (id: string) => before.containers.find(({ container }) => container.id === id);
    const removed: string[] = [];
    let reclaimed = 0;
    for (const { id, state, created, resolved } of containers.list()) {
      if (state.status !== 'exited' && state.status !== 'created') continue;
      if (!isOlderThan(created, wanted) || !labelsMatch(resolved.labels, wanted)) continue;
      try {
        await containers.remove(id);
      } catch (error) {
        if (isGantryError(error, 'conflict') || isGantryError(error, 'not-found')) continue; // started or removed meanwhile
        throw error;
      }
      removed.push(id);
      reclaimed += (bytesOf(id)?.writable ?? 0) + (bytesOf(id)?.own ?? 0);
    }
    events.publish({ type: 'container', action: 'prune', id: '', attributes: { reclaimed: String(reclaimed) } });
    return { ContainersDeleted: removed, SpaceReclaimed: reclaimed };
  });

  routes.add<{ Querystring: Query; Body: Partial<ImageRunConfig> | null }>(
    commit,
    async ({ query, body, raw }, reply) => {
      const changes = queryValues(raw.url, 'changes');
      const name = query.repo ? `${query.repo}:${query.tag || 'latest'}` : undefined;
      const given = Object.fromEntries(
        Object.entries(body ?? {}).filter(([key, value]) => value !== null && configFields.has(key)),
      );
      const image = await storage.commit(query.container ?? '', {
        references: name === undefined ? [] : [name],
        ...(query.author ? { author: query.author } : {}),
        ...(query.comment ? { comment: query.comment } : {}),
        pause: flag(query.pause, true),
        configure: (config) => applyChanges({ ...config, ...given }, changes),
        signal: clientSignal(reply),
      });
      containers.tell(query.container ?? '', 'commit', {
        comment: query.comment ?? '',
        imageID: image.id,
        ...(name === undefined ? {} : { imageRef: familiarReference(parseReference(name)) }),
      });
      reply.code(201);
      return { Id: image.id };
    },
  );

  routes.add<{ Querystring: Query }>(check, async ({ query }, reply) =>
    storage.check({ repair: flag(query.repair), quick: flag(query.quick), signal: clientSignal(reply) }),
  );
}

/** A layer or blob that no cache entry is known of. */
const strayRecord = (id: string) => ({
  ID: id,
  Parents: null,
  Type: 'regular',
  Description: id,
  InUse: false,
  Shared: false,
  Size: 0,
  CreatedAt: '0001-01-01T00:00:00Z',
  LastUsedAt: null,
  UsageCount: 0,
});

const cached = (record: CacheRecord | undefined): object => (record === undefined ? {} : cacheRecord(record));

/** Of a container's configuration what an image has too. */
const configFields = new Set([
  ...[
    'User',
    'ExposedPorts',
    'Env',
    'Entrypoint',
    'Cmd',
    'Volumes',
    'WorkingDir',
    'Labels',
    'StopSignal',
    'Healthcheck',
  ],
]);
