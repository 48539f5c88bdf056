import { GantryError, isGantryError } from '#errors/index.ts';
import type { Network } from '#network/index.ts';
import type { ApiDeps } from './deps.ts';
import { createNetworkOf, type NetworkBody, networkRequestOf, networkShape } from './network-shapes.ts';
import { filtersOf, json, type Operation, type Routes } from './operation.ts';
import { isOlderThan, labelsMatch } from './prune-filters.ts';
import { filters, type Query } from './query.ts';
import * as schema from './schema/network.ts';
import { flag, list, type ShapeOf, text } from './schema/schema.ts';
import { networksPruned } from './schema/storage.ts';

type Route = { Params: { id: string }; Querystring: Query };

const listRoute: Operation = {
  id: 'NetworkList',
  method: 'GET',
  path: '/networks',
  summary: 'List networks',
  query: { filters: filtersOf('dangling', 'driver', 'id', 'label', 'name', 'scope', 'type') },
  answers: { 200: json(list(schema.networkSummary)) },
};

const inspect: Operation = {
  id: 'NetworkInspect',
  method: 'GET',
  path: '/networks/{id}',
  summary: 'One network, with who is in it',
  query: { verbose: flag('Of swarm; nothing more comes'), scope: text('local; others are not found') },
  answers: { 200: json(schema.networkInspect) },
};

const create: Operation = {
  id: 'NetworkCreate',
  method: 'POST',
  path: '/networks/create',
  summary: 'Create a network',
  body: json(schema.networkBody),
  answers: { 201: json(schema.networkCreated) },
};

const removeRoute: Operation = {
  id: 'NetworkDelete',
  method: 'DELETE',
  path: '/networks/{id}',
  summary: 'Remove a network',
  answers: { 204: null },
};

const connect: Operation = {
  id: 'NetworkConnect',
  method: 'POST',
  path: '/networks/{id}/connect',
  summary: 'Put a container into one more network',
  body: json(schema.connectBody),
  answers: { 200: null },
};

const disconnect: Operation = {
  id: 'NetworkDisconnect',
  method: 'POST',
  path: '/networks/{id}/disconnect',
  summary: 'Take a container out of a network',
  body: json(schema.disconnectBody),
  answers: { 200: null },
};

const prune: Operation = {
  id: 'NetworkPrune',
  method: 'POST',
  path: '/networks/prune',
  summary: 'Remove networks that no container is in',
  query: { filters: filtersOf('label', 'label!', 'until') },
  answers: { 200: json(networksPruned) },
};

/** Networks, and who is in them. */
export function networksApi(routes: Routes, { containers, networks, events }: ApiDeps): void {
  const tell = (action: string, { id, name, driver }: Network) =>
    events.publish({ type: 'network', action, id, attributes: { name, type: driver } });
  const remove = async (id: string) => {
    const gone = await networks.remove(id);
    tell('destroy', gone);
    return gone;
  };

  routes.add<{ Querystring: Query }>(listRoute, async ({ query }) => {
    const wanted = filters(query.filters);
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

  routes.add<Route>(inspect, async ({ params, query }) => {
    const network = networks.get(params.id);
    if (query.scope && query.scope !== 'local') throw new GantryError('not-found', `network ${params.id} not found`);
    return networkShape(network, networks.endpointsIn(network.id));
  });
  routes.add<{ Body: NetworkBody }>(create, async ({ body }, reply) => {
    const made = await networks.create(createNetworkOf(body));
    tell('create', made);
    reply.code(201);
    return { Id: made.id, Warning: '' };
  });
  routes.add<Route>(removeRoute, async ({ params }, reply) => {
    await remove(params.id);
    return reply.code(204).send();
  });
  routes.add<Route & { Body: ShapeOf<typeof schema.connectBody> }>(connect, async ({ params, body }) => {
    await containers.connectNetwork(params.id, body.Container ?? '', networkRequestOf(body.EndpointConfig));
    return '';
  });
  routes.add<Route & { Body: ShapeOf<typeof schema.disconnectBody> }>(disconnect, async ({ params, body }) => {
    try {
      await containers.disconnectNetwork(params.id, body.Container ?? '');
    } catch (error) {
      // With force, one that is gone is what was wanted.
      if (!body.Force || !isGantryError(error, 'not-found')) throw error;
    }
    return '';
  });
  routes.add<{ Querystring: Query }>(prune, async ({ query }) => {
    const wanted = filters(query.filters);
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
    events.publish({ type: 'network', action: 'prune', id: '', attributes: { reclaimed: '0' } });
    return { NetworksDeleted: removed };
  });
}
