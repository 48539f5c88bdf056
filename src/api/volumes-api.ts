import { GantryError, isGantryError } from '#errors/index.ts';
import type { Volume } from '#volumes/index.ts';
import type { ApiDeps } from './deps.ts';
import { filtersOf, json, type Operation, type Routes } from './operation.ts';
import { notInSwarm } from './outside-api.ts';
import { labelsMatch } from './prune-filters.ts';
import { filters, flag, type Query } from './query.ts';
import { flag as boolean, integer, type ShapeOf } from './schema/schema.ts';
import * as schema from './schema/storage.ts';

type VolumeBody = ShapeOf<typeof schema.volumeBody>;
type Route = { Params: { name: string }; Querystring: Query };

/** What docker marks the volumes with that have no name of a person's. */
const anonymousLabel = 'com.docker.volume.anonymous';

export const volumeShape = ({ name, path, created, labels, options, anonymous }: Volume) => ({
  CreatedAt: created,
  Driver: 'local',
  Labels: anonymous ? { ...labels, [anonymousLabel]: '' } : labels,
  Mountpoint: path,
  Name: name,
  Options: Object.keys(options).length === 0 ? null : options,
  Scope: 'local',
});

const listRoute: Operation = {
  id: 'VolumeList',
  method: 'GET',
  path: '/volumes',
  summary: 'List volumes',
  query: { filters: filtersOf('name', 'driver', 'label', 'dangling') },
  answers: { 200: json(schema.volumeList) },
};

const create: Operation = {
  id: 'VolumeCreate',
  method: 'POST',
  path: '/volumes/create',
  summary: 'Create a volume, or find the one of that name',
  body: json(schema.volumeBody),
  answers: { 201: json(schema.volume) },
};

const inspect: Operation = {
  id: 'VolumeInspect',
  method: 'GET',
  path: '/volumes/{name}',
  summary: 'One volume',
  answers: { 200: json(schema.volume) },
};

const update: Operation = {
  id: 'VolumeUpdate',
  method: 'PUT',
  path: '/volumes/{name}',
  summary: 'Change a volume of a cluster: there are none',
  since: '1.42',
  query: { version: integer() },
  answers: {},
};

const remove: Operation = {
  id: 'VolumeDelete',
  method: 'DELETE',
  path: '/volumes/{name}',
  summary: 'Remove a volume',
  query: { force: boolean('No error where there is none') },
  answers: { 204: null },
};

const prune: Operation = {
  id: 'VolumePrune',
  method: 'POST',
  path: '/volumes/prune',
  summary: 'Remove volumes without a name that no container uses; with the filter all=true also those with one',
  query: { filters: filtersOf('label', 'label!', 'all') },
  answers: { 200: json(schema.volumesPruned) },
};

/** Named volumes. */
export function volumesApi(routes: Routes, { volumes, events }: ApiDeps): void {
  const isDangling = ({ name }: Volume) => volumes.usersOf(name).length === 0;

  routes.add<{ Querystring: Query }>(listRoute, async ({ query }) => {
    const wanted = filters(query.filters);
    const some = (key: string, fits: (value: string) => boolean) => wanted.get(key)?.some(fits) ?? true;
    const found = volumes
      .list()
      .filter(
        (volume) =>
          some('name', (name) => volume.name.includes(name)) &&
          some('driver', (driver) => driver === 'local') &&
          some('dangling', (yes) => /^(?:1|true)$/i.test(yes) === isDangling(volume)) &&
          labelsMatch(volume.labels, wanted),
      );
    return { Volumes: found.map(volumeShape), Warnings: null };
  });
  routes.add<Route>(inspect, async ({ params }) => {
    const found = volumes.get(params.name);
    if (found === undefined) throw new GantryError('not-found', `get ${params.name}: no such volume`);
    return volumeShape(found);
  });
  routes.add<{ Body: VolumeBody }>(create, async ({ body }, reply) => {
    if (body.Driver && body.Driver !== 'local')
      throw new GantryError('not-found', `volume driver "${body.Driver}" is not known; only "local" is`);
    if (body.ClusterVolumeSpec)
      throw new GantryError(
        'unsupported',
        'volumes of a cluster are not supported; leave --type, --scope and the like out',
      );
    const made = await volumes.create({
      ...(body.Name ? { name: body.Name } : {}),
      ...(body.Labels ? { labels: body.Labels } : {}),
      ...(body.DriverOpts ? { options: body.DriverOpts } : {}),
    });
    reply.code(201);
    return volumeShape(made);
  });
  routes.add<Route>(update, async ({ params }) => {
    if (volumes.get(params.name) === undefined) throw notInSwarm();
    throw new GantryError('invalid', `volume ${params.name} is not one of a cluster: it cannot be updated`);
  });
  routes.add<Route>(remove, async ({ params, query }, reply) => {
    try {
      await volumes.remove(params.name);
    } catch (error) {
      // With force, one that is gone is what was wanted.
      if (!flag(query.force) || !isGantryError(error, 'not-found')) throw error;
    }
    return reply.code(204).send();
  });
  routes.add<{ Querystring: Query }>(prune, async ({ query }) => {
    const wanted = filters(query.filters);
    const all = wanted.get('all')?.some((yes) => flag(yes)) ?? false;
    const unused = volumes
      .list()
      .filter((volume) => isDangling(volume) && (all || volume.anonymous) && labelsMatch(volume.labels, wanted));
    let reclaimed = 0;
    for (const { name } of unused) {
      reclaimed += await volumes.size(name);
      await volumes.remove(name);
    }
    events.publish({ type: 'volume', action: 'prune', id: '', attributes: { reclaimed: String(reclaimed) } });
    return { VolumesDeleted: unused.map(({ name }) => name), SpaceReclaimed: reclaimed };
  });
}
