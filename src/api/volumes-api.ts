import type { FastifyInstance } from 'fastify';
import { GantryError, isGantryError } from '#errors/index.ts';
import type { Volume } from '#volumes/index.ts';
import type { ApiDeps } from './deps.ts';
import { labelsMatch } from './prune-filters.ts';
import { filters, flag, type Query, refuseFilters } from './query.ts';

interface VolumeBody {
  Name?: string;
  Driver?: string;
  DriverOpts?: Record<string, string> | null;
  Labels?: Record<string, string> | null;
  ClusterVolumeSpec?: object | null;
}

type Route = { Params: { name: string }; Querystring: Query };

/** What docker marks the volumes with that have no name of a person's. */
const anonymousLabel = 'com.docker.volume.anonymous';

const volumeShape = ({ name, path, created, labels, options, anonymous }: Volume) => ({
  CreatedAt: created,
  Driver: 'local',
  Labels: anonymous ? { ...labels, [anonymousLabel]: '' } : labels,
  Mountpoint: path,
  Name: name,
  Options: Object.keys(options).length === 0 ? null : options,
  Scope: 'local',
});

/** Named volumes. */
export function volumesApi(app: FastifyInstance, { volumes, events }: ApiDeps): void {
  const tell = (action: string, name: string) =>
    events.publish({ type: 'volume', action, id: name, attributes: { driver: 'local' } });
  const isDangling = ({ name }: Volume) => volumes.usersOf(name).length === 0;

  app.get<{ Querystring: Query }>('/volumes', async ({ query }) => {
    const wanted = filters(query.filters);
    refuseFilters(wanted, ['name', 'driver', 'label', 'dangling']);
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
  app.get<Route>('/volumes/:name', async ({ params }) => {
    const found = volumes.get(params.name);
    if (found === undefined) throw new GantryError('not-found', `get ${params.name}: no such volume`);
    return volumeShape(found);
  });
  app.post<{ Body: VolumeBody }>('/volumes/create', async ({ body }, reply) => {
    if (body.Driver && body.Driver !== 'local')
      throw new GantryError('not-found', `volume driver "${body.Driver}" is not known; only "local" is`);
    if (body.ClusterVolumeSpec)
      throw new GantryError(
        'unsupported',
        'volumes of a cluster are not supported; leave --type, --scope and the like out',
      );
    const known = body.Name ? volumes.get(body.Name) : undefined;
    const made = await volumes.create({
      ...(body.Name ? { name: body.Name } : {}),
      ...(body.Labels ? { labels: body.Labels } : {}),
      ...(body.DriverOpts ? { options: body.DriverOpts } : {}),
    });
    if (known === undefined) tell('create', made.name);
    return reply.code(201).send(volumeShape(made));
  });
  app.delete<Route>('/volumes/:name', async ({ params, query }, reply) => {
    try {
      await volumes.remove(params.name);
      tell('destroy', params.name);
    } catch (error) {
      // With force, one that is gone is what was wanted.
      if (!flag(query.force) || !isGantryError(error, 'not-found')) throw error;
    }
    return reply.code(204).send();
  });
  app.post<{ Querystring: Query }>('/volumes/prune', async ({ query }) => {
    const wanted = filters(query.filters);
    refuseFilters(wanted, ['label', 'label!', 'all']);
    const all = wanted.get('all')?.some((yes) => flag(yes)) ?? false;
    const unused = volumes
      .list()
      .filter((volume) => isDangling(volume) && (all || volume.anonymous) && labelsMatch(volume.labels, wanted));
    let reclaimed = 0;
    for (const { name } of unused) {
      reclaimed += await volumes.size(name);
      await volumes.remove(name);
      tell('destroy', name);
    }
    return { VolumesDeleted: unused.map(({ name }) => name), SpaceReclaimed: reclaimed };
  });
}
