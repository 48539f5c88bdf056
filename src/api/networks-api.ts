import type { FastifyInstance } from 'fastify';
import { GantryError, isGantryError } from '#errors/index.ts';
import type { Network } from '#network/index.ts';
import type { ApiDeps } from './deps.ts';
import {
  createNetworkOf,
  type EndpointBody,
  type NetworkBody,
  networkRequestOf,
  networkShape,
} from './network-shapes.ts';
import { isOlderThan, labelsMatch } from './prune-filters.ts';
import { filters, type Query, refuseFilters } from './query.ts';

type Route = { Params: { id: string }; Querystring: Query };

/** Networks, and who is in them. */
export function networksApi(app: FastifyInstance, { containers, networks, events }: ApiDeps): void {
  const tell = (action: string, { id, name, driver }: Network) =>
    events.publish({ type: 'network', action, id, attributes: { name, type: driver } });
  const remove = async (id: string) => {
    const gone = await networks.remove(id);
    tell('destroy', gone);
    return gone;
  };

  app.get<{ Querystring: Query }>('/networks', async ({ query }) => {
    const wanted = filters(query.filters);
    refuseFilters(wanted, ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']);
    const some = (key: string, fits: (value: string) => boolean) => wanted.get(key)?.some(fits) ?? true;
    return networks
      .list()
      .filter(
        (network) =>
          some('name', (name) => network.name.includes(name)) &&
          some('id', (id) => network.id.startsWith(id)) &&
          some('driver', (driver) => network.driver === driver) &&
          some('scope', (scope) => scope === 'local') &&
          some('type', (type) => (type === 'builtin') === network.builtIn) &&
          some('dangling', (yes) => /^(?:1|true)$/i.test(yes) === isDangling(network)) &&
          labelsMatch(network.labels, wanted),
      )
      .map((network) => networkShape(network, undefined));
  });
  const isDangling = (network: Network) => !network.builtIn && networks.endpointsIn(network.id).length === 0;

  app.get<Route>('/networks/:id', async ({ params }) => {
    const network = networks.get(params.id);
    return networkShape(network, networks.endpointsIn(network.id));
  });
  app.post<{ Body: NetworkBody }>('/networks/create', async ({ body }, reply) => {
    const made = await networks.create(createNetworkOf(body));
    tell('create', made);
    return reply.code(201).send({ Id: made.id, Warning: '' });
  });
  app.delete<Route>('/networks/:id', async ({ params }, reply) => {
    await remove(params.id);
    return reply.code(204).send();
  });
  app.post<Route & { Body: { Container?: string; EndpointConfig?: EndpointBody | null } }>(
    '/networks/:id/connect',
    async ({ params, body }) => {
      await containers.connectNetwork(params.id, body.Container ?? '', networkRequestOf(body.EndpointConfig));
      return '';
    },
  );
  app.post<Route & { Body: { Container?: string; Force?: boolean } }>(
    '/networks/:id/disconnect',
    async ({ params, body }) => {
      try {
        await containers.disconnectNetwork(params.id, body.Container ?? '');
      } catch (error) {
        // With force, one that is gone is what was wanted.
        if (!body.Force || !isGantryError(error, 'not-found')) throw error;
      }
      return '';
    },
  );
  app.post<{ Querystring: Query }>('/networks/prune', async ({ query }) => {
    const wanted = filters(query.filters);
    refuseFilters(wanted, ['label', 'label!', 'until']);
    const unused = networks
      .list()
      .filter(
        (network) => isDangling(network) && labelsMatch(network.labels, wanted) && isOlderThan(network.created, wanted),
      );
    const removed: string[] = [];
    for (const { id } of unused)
      try {
        removed.push((await remove(id)).name);
      } catch (error) {
        if (!(error instanceof GantryError) || !['conflict', 'not-found'].includes(error.kind)) throw error; // taken up meanwhile
      }
    return { NetworksDeleted: removed };
  });
}
