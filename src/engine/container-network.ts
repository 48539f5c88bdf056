import { writeFileSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import type { Endpoint, Network } from '#network/index.ts';
import type { Context } from './context.ts';
import type { Container, ContainerOptions, NetworkAttachment, NetworkRequest } from './engine.ts';
import { linkHosts } from './legacy-links.ts';
import { hostsFile, resolvConf, resolverConf } from './network-files.ts';
import { readHostFile } from './read-host-file.ts';
import { containerOfMode, isOwn } from './spec/namespaces.ts';

/** A container that has no links of the engine's: with the host's network, another container's, or none. */
const hasNoEndpoint = (mode: string) => mode === 'none' || mode === 'host' || mode.startsWith('container:');

/**
 * The networks that a container is to be in, the one of its mode first. @throws GantryError not-found, invalid
 */
export function attachmentsOf(
  context: Pick<Context, 'networks' | 'store'>,
  options: ContainerOptions,
): NetworkAttachment[] {
  const mode = options.networkMode ?? 'bridge';
  const asked = Object.entries(options.networks ?? {});
  const joined = containerOfMode(options.networkMode);
  if (joined !== undefined) context.store.find(joined);
  if (hasNoEndpoint(mode)) {
    const other = asked.find(([name]) => name !== mode);
    if (other !== undefined)
      throw new GantryError('invalid', `conflicting options: the network ${other[0]} and network mode ${mode}`);
    if (joined !== undefined && (options.ports?.length ?? 0) > 0)
      throw new GantryError('invalid', 'conflicting options: port publishing and the container type network mode');
    return [];
  }
  const first = context.networks.get(mode);
  const others = asked.filter(([name]) => context.networks.get(name).id !== first.id);
  const own = asked.find(([name]) => context.networks.get(name).id === first.id)?.[1];
  return [
    attachmentTo(first, own ?? {}),
    ...others.map(([name, request]) => attachmentTo(context.networks.get(name), request)),
  ];
}

/** @throws GantryError invalid for what the built-in networks do not know */
export function attachmentTo(network: Network, request: NetworkRequest): NetworkAttachment {
  if (network.driver === 'host' || network.driver === 'null')
    throw new GantryError(
      'forbidden',
      `container cannot be connected to the network ${network.name}: it gives no addresses`,
    );
  if (network.builtIn && (request.aliases?.length ?? 0) > 0)
    throw new GantryError('invalid', 'network-scoped alias is supported only for containers in user defined networks');
  if (network.builtIn && (request.address || request.address6))
    throw new GantryError(
      'invalid',
      'invalid config for network bridge: user specified IP address is supported on user defined networks only',
    );
  return { ...request, networkId: network.id, networkName: network.name };
}

/** Reserves an endpoint in each network of a container. What fails is undone by `networks.release`. */
export async function reserveEndpoints(context: Context, container: Container): Promise<readonly Endpoint[]> {
  const endpoints: Endpoint[] = [];
  for (const attachment of container.networks ?? []) endpoints.push(await reserve(context, container, attachment));
  return endpoints;
}

/** Ports are published at the first endpoint that has a way out. */
async function reserve(context: Context, container: Container, attachment: NetworkAttachment): Promise<Endpoint> {
  const { networks } = context;
  const { aliases = [], links = [], address, address6, mac } = attachment;
  const network = networkOf(context, container, attachment);
  const published = networks.endpointsOf(container.id).some(({ ports }) => ports.length > 0);
  const macAddress = mac ?? container.options.macAddress;
  return networks.reserve({
    owner: container.id,
    ownerName: container.name,
    network: network.id,
    ports: network.internal || network.driver !== 'bridge' || published ? [] : (container.options.ports ?? []),
    aliases: [...aliases, ...(container.options.hostname === undefined ? [] : [container.options.hostname])],
    links: [...links, ...(network.builtIn ? [] : (container.options.links ?? []))],
    ...(address === undefined ? {} : { address }),
    ...(address6 === undefined ? {} : { address6 }),
    ...(macAddress === undefined ? {} : { mac: macAddress }),
  });
}

/** The network of an attachment, also where it was made anew under its name. @throws GantryError not-found, naming it */
function networkOf({ networks }: Context, { name }: Container, { networkId, networkName }: NetworkAttachment): Network {
  const found =
    networks.list().find(({ id }) => id === networkId) ?? networks.list().find((n) => n.name === networkName);
  if (found === undefined)
    throw new GantryError(
      'not-found',
      `network ${networkName} not found: container ${name} is connected to it; make it again, or disconnect the container`,
    );
  return found;
}

/** Makes the links of a process that has been created, and opens its resolver. */
export async function connectEndpoints(
  context: Context,
  container: Container,
  endpoints: readonly Endpoint[],
  pid: number,
): Promise<void> {
  for (const endpoint of endpoints) await context.networks.connect(endpoint, pid);
  if (endpoints.length === 0 && isOwn('network', container.options)) await context.networks.loopbackOnly(pid);
  await serveNames(context, container, pid);
}

/** Opens the container's resolver where one of its networks resolves names; also after a restart of the engine. */
export async function serveNames(context: Context, container: Container, pid: number): Promise<void> {
  if (resolvesNames(context, container.id))
    await context.networks.serveNames(container.id, pid, { servers: container.options.dns ?? [] });
}

const resolvesNames = ({ networks }: Pick<Context, 'networks'>, id: string): boolean =>
  networks.endpointsOf(id).some(({ networkId }) => networks.get(networkId).resolvesNames);

/** The files of /etc that the engine owns. */
export interface NetworkFiles {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}

/** Writes a container's hosts, hostname and resolv.conf, or finds those of the container whose network it shares. */
export async function writeNetworkFiles(context: Context, container: Container): Promise<NetworkFiles> {
  const joined = containerOfMode(container.options.networkMode);
  const home = context.home(joined === undefined ? container.id : context.store.find(joined).id);
  const files = { hosts: `${home}/hosts`, hostname: `${home}/hostname`, resolvConf: `${home}/resolv.conf` };
  if (joined !== undefined) return files;
  const { extraHosts = [], dns = [], dnsSearch = [], dnsOptions = [], networkMode } = container.options;
  const { hostname } = container.resolved;
  const endpoints = context.networks.endpointsOf(container.id);
  const wanted = { dns, search: dnsSearch, options: dnsOptions };
  const hosts =
    networkMode === 'host'
      ? await readHostFile('/etc/hosts')
      : hostsFile({
          hostname,
          addresses: endpoints.flatMap(({ address, address6 }) => [address, address6 ?? '']).filter((a) => a !== ''),
          gateway: context.networks.get('bridge').gateway,
          extraHosts: [...extraHosts, ...linkHosts(context, container)],
        });
  const host = await readHostFile('/etc/resolv.conf');
  // At once: three small files cost less than three turns of the thread pool.
  writeFileSync(files.hosts, hosts);
  writeFileSync(files.hostname, `${hostname}\n`);
  writeFileSync(
    files.resolvConf,
    resolvesNames(context, container.id) ? resolverConf(host, wanted) : resolvConf(host, wanted),
  );
  return files;
}

/** Puts a container into one more network, at once if it runs. @throws GantryError */
export async function connectNetwork(
  context: Context,
  network: string,
  nameOrId: string,
  request: NetworkRequest,
): Promise<void> {
  const { lives, networks, store } = context;
  const { id } = store.find(nameOrId);
  await lives.exclusive(id, async () => {
    const container = store.find(id);
    const attachment = attachmentTo(networks.get(network), request);
    const { networkName } = attachment;
    const mode = container.options.networkMode ?? 'bridge';
    if (hasNoEndpoint(mode) && mode !== 'none')
      throw new GantryError(
        'forbidden',
        `container sharing network namespace with another container or host cannot be connected to any other network`,
      );
    if ((container.networks ?? []).some(({ networkId }) => networkId === attachment.networkId))
      throw new GantryError(
        'forbidden',
        `endpoint with name ${container.name} already exists in network ${networkName}`,
      );
    const attached: Container = { ...container, networks: [...(container.networks ?? []), attachment] };
    const pid = lives.find(id)?.task?.pid;
    if (pid !== undefined) {
      const endpoint = await reserve(context, attached, attachment);
      try {
        await networks.connect(endpoint, pid);
        await writeNetworkFiles(context, attached);
        await serveNames(context, attached, pid);
      } catch (error) {
        await networks.disconnect(id, endpoint.networkId, pid);
        throw error;
      }
    }
    store.put({ ...attached, ...(pid === undefined ? {} : { endpoints: networks.endpointsOf(id) }) });
    tellNetwork(context, attachment, 'connect', id);
  });
}

/** Takes a container out of a network, at once if it runs. @throws GantryError */
export async function disconnectNetwork(context: Context, network: string, nameOrId: string): Promise<void> {
  const { lives, networks, store } = context;
  const { id } = store.find(nameOrId);
  await lives.exclusive(id, async () => {
    const container = store.find(id);
    const { id: networkId, name } = networks.get(network);
    const attachment = (container.networks ?? []).find((one) => one.networkId === networkId);
    if (attachment === undefined)
      throw new GantryError('forbidden', `container ${container.name} is not connected to network ${name}`);
    const left: Container = {
      ...container,
      networks: (container.networks ?? []).filter((one) => one !== attachment),
    };
    const pid = lives.find(id)?.task?.pid;
    if (pid !== undefined) {
      await networks.disconnect(id, networkId, pid);
      await writeNetworkFiles(context, left);
    }
    store.put({ ...left, ...(pid === undefined ? {} : { endpoints: networks.endpointsOf(id) }) });
    tellNetwork(context, attachment, 'disconnect', id);
  });
}

/** Tells that a container came into a network, or left it. */
function tellNetwork(
  { events, networks }: Pick<Context, 'events' | 'networks'>,
  { networkId, networkName }: Pick<NetworkAttachment, 'networkId' | 'networkName'>,
  action: 'connect' | 'disconnect',
  container: string,
): void {
  const driver = networks.list().find(({ id }) => id === networkId)?.driver;
  const attributes = { container, name: networkName, ...(driver === undefined ? {} : { type: driver }) };
  events.publish({ type: 'network', action, id: networkId, attributes });
}

/** Tells of each network that a container is in as it starts, or was in until it ended. */
export function tellEndpoints(
  context: Pick<Context, 'events' | 'networks'>,
  { id, endpoints = [] }: Pick<Container, 'id' | 'endpoints'>,
  action: 'connect' | 'disconnect',
): void {
  for (const endpoint of endpoints) tellNetwork(context, endpoint, action, id);
}
