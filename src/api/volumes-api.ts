import type { FastifyInstance } from 'fastify';
import { GantryError } from '#errors/index.ts';
import type { ApiDeps } from './deps.ts';
import { filters, labelsFit, type Query, refuseFilters } from './query.ts';

/** Named volumes. */
export function volumesApi(app: FastifyInstance, { volumes }: ApiDeps): void {
  const volume = (v: ReturnType<typeof volumes.list>[number]) => ({
    CreatedAt: v.created,
    Driver: 'local',
    Labels: v.labels,
    Mountpoint: v.path,
    Name: v.name,
    Options: null,
    Scope: 'local',
  });
  app.get<{ Querystring: Query }>('/volumes', async ({ query }) => {
    const wanted = filters(query.filters);
    refuseFilters(wanted, ['name', 'driver', 'label']);
    const found = volumes
      .list()
      .map(volume)
      .filter(
        (v) =>
          (wanted.get('name')?.some((name) => v.Name.includes(name)) ?? true) &&
          (wanted.get('driver')?.includes(v.Driver) ?? true) &&
          labelsFit(v.Labels, wanted.get('label')),
      );
    return { Volumes: found, Warnings: null };
  });
  app.get<{ Params: { name: string } }>('/volumes/:name', async ({ params }) => {
    const found = volumes.get(params.name);
    if (found === undefined) throw new GantryError('not-found', `get ${params.name}: no such volume`);
    return volume(found);
  });
  app.post<{ Body: { Name?: string; Labels?: Record<string, string> | null; Driver?: string } }>(
    '/volumes/create',
    async ({ body }, reply) => {
      if (body.Driver && body.Driver !== 'local')
        throw new GantryError('not-found', `volume driver "${body.Driver}" is not known; only "local" is`);
      return reply.code(201).send(
        volume(
          await volumes.create({
            ...(body.Name ? { name: body.Name } : {}),
            ...(body.Labels ? { labels: body.Labels } : {}),
          }),
        ),
      );
    },
  );
  app.delete<{ Params: { name: string } }>('/volumes/:name', async ({ params }, reply) => {
    await volumes.remove(params.name);
    return reply.code(204).send();
  });
}
