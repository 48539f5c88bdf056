import type { FastifyInstance } from 'fastify';
import { applyChanges } from '#builder/index.ts';
import { isGantryError } from '#errors/index.ts';
import type { ImageRunConfig } from '#oci/index.ts';
import { statusLine } from './container-shapes.ts';
import type { ApiDeps } from './deps.ts';
import { imageSummary } from './image-shapes.ts';
import { isOlderThan, labelsMatch } from './prune-filters.ts';
import { filters, flag, type Query, queryValues, refuseFilters } from './query.ts';
import { clientSignal } from './streams.ts';

/** /system/df, /containers/prune, /commit, and /gantry/check, which is our own. */
export function storageApi(app: FastifyInstance, { storage, events, containers }: ApiDeps): void {
  app.get<{ Querystring: Query }>('/system/df', async ({ raw }) => {
    const types = queryValues(raw.url, 'type');
    const wants = (type: string) => types.length === 0 || types.includes(type);
    const usage = await storage.usage();
    return {
      LayersSize: wants('image') ? usage.images.total : 0,
      Images: wants('image')
        ? usage.images.each.map(({ image, size, shared }) => ({
            ...imageSummary(image, containers.list().filter((c) => c.imageId === image.id).length),
            Size: size,
            SharedSize: shared,
          }))
        : null,
      Containers: wants('container')
        ? usage.containers.map(({ container, writable, own, image }) => ({
            Id: container.id,
            Names: [`/${container.name}`],
            Image: container.imageName,
            ImageID: container.imageId,
            Command: [container.resolved.path, ...container.resolved.args].join(' '),
            Created: Math.floor(Date.parse(container.created) / 1000),
            SizeRw: writable + own,
            SizeRootFs: writable + image,
            Labels: container.resolved.labels,
            State: container.state.status,
            Status: statusLine(container),
            Mounts: container.mounts.map(({ type, name, source, target, readOnly }) => ({
              Type: type,
              Name: name ?? '',
              Source: source,
              Destination: target,
              RW: !readOnly,
            })),
          }))
        : null,
      Volumes: wants('volume')
        ? usage.volumes.map(({ volume, size, users }) => ({
            CreatedAt: volume.created,
            Driver: 'local',
            Labels: volume.labels,
            Mountpoint: volume.path,
            Name: volume.name,
            Options: null,
            Scope: 'local',
            UsageData: { Size: size, RefCount: users },
          }))
        : null,
      BuildCache: wants('build-cache')
        ? usage.buildCache.map(({ id, size }) => ({
            ID: id,
            Type: 'regular',
            Description: id,
            InUse: false,
            Shared: false,
            Size: size,
            CreatedAt: '0001-01-01T00:00:00Z',
            LastUsedAt: null,
            UsageCount: 0,
          }))
        : null,
      BuilderSize: usage.buildCache.reduce((sum, { size }) => sum + size, 0),
      /** What is nobody's: with it the totals are all of the data root. */
      EngineSize: usage.engine,
    };
  });

  app.post<{ Querystring: Query }>('/containers/prune', async ({ query }) => {
    const wanted = filters(query.filters);
    refuseFilters(wanted, ['until', 'label', 'label!']);
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
    return { ContainersDeleted: removed.length === 0 ? null : removed, SpaceReclaimed: reclaimed };
  });

  app.post<{ Querystring: Query; Body: Partial<ImageRunConfig> | null }>(
    '/commit',
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
      events.publish({
        type: 'container',
        action: 'commit',
        id: containers.get(query.container ?? '').id,
        attributes: {
          comment: query.comment ?? '',
          imageID: image.id,
          ...(name === undefined ? {} : { imageRef: name }),
        },
      });
      return reply.code(201).send({ Id: image.id });
    },
  );

  app.post<{ Querystring: Query }>('/gantry/check', async ({ query }, reply) =>
    storage.check({ repair: flag(query.repair), quick: flag(query.quick), signal: clientSignal(reply) }),
  );
}

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
