import type { Container, NetworkRequest } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';
import type { CreateNetwork, Endpoint, Network } from '#network/index.ts';
import type { endpointBody, networkBody } from './schema/network.ts';
import type { ShapeOf } from './schema/schema.ts';

const modeOf = (container: Container) => container.options.networkMode ?? 'bridge';

/** NetworkSettings.Networks of a container, by the networks' names. */
export function networksOf(container: Container): Record<string, object> {
  const mode = modeOf(container);
  const attached = container.networks ?? [];
  const rows = attached.map((attachment) => {
    const endpoint = container.endpoints?.find(({ networkId }) => networkId === attachment.networkId);
    return [attachment.networkName, endpointShape(attachment, attachment.networkId, endpoint)] as const;
  });
  if (attached.length > 0) return Object.fromEntries(rows);
  return mode.startsWith('container:') ? {} : { [mode]: endpointShape({}, '', undefined) };
}

/** An endpoint's own facts, as Docker repeats them wherever it shows one. */
const addressesOf = (endpoint: Endpoint | undefined) => ({
  EndpointID: endpoint?.id ?? '',
  Gateway: endpoint?.gateway ?? '',
  IPAddress: endpoint?.address ?? '',
  IPPrefixLen: endpoint?.prefixLength ?? 0,
  IPv6Gateway: endpoint?.gateway6 ?? '',
  GlobalIPv6Address: endpoint?.address6 ?? '',
  GlobalIPv6PrefixLen: endpoint?.prefixLength6 ?? 0,
  MacAddress: endpoint?.mac ?? '',
});

function endpointShape(request: NetworkRequest, networkId: string, endpoint: Endpoint | undefined) {
  const { address, address6, aliases, links } = request;
  return {
    IPAMConfig:
      address === undefined && address6 === undefined
        ? null
        : {
            ...(address === undefined ? {} : { IPv4Address: address }),
            ...(address6 === undefined ? {} : { IPv6Address: address6 }),
          },
    Links: links ?? null,
    Aliases: aliases ?? null,
    NetworkID: networkId,
    ...addressesOf(endpoint),
    DriverOpts: null,
    GwPriority: 0,
    DNSNames: endpoint === undefined || endpoint.networkName === 'bridge' ? null : endpoint.names,
  };
}

/** The published ports of all of a container's endpoints. */
export const publishedOf = (container: Container) => (container.endpoints ?? []).flatMap(({ ports }) => ports);

/** NetworkSettings of GET /containers/{id}/json. */
export function networkSettingsOf(container: Container) {
  const published = publishedOf(container);
  const name = (port: (typeof published)[number]) => `${port.containerPort}/${port.protocol}`;
  const ports = Object.fromEntries(
    [...new Set([...container.resolved.exposedPorts, ...published.map(name)])].map((port) => {
      const bindings = published.filter((one) => name(one) === port);
      return [
        port,
        bindings.length === 0 ? null : bindings.map((p) => ({ HostIp: p.hostAddress, HostPort: String(p.hostPort) })),
      ];
    }),
  );
  return {
    SandboxID: 'pid' in container.state ? container.id : '',
    SandboxKey: 'pid' in container.state ? `/proc/${container.state.pid}/ns/net` : '',
    Ports: container.endpoints === undefined ? {} : ports,
    Networks: networksOf(container),
  };
}

const withLength = (address: string | undefined, prefixLength: number | undefined): string =>
  address === undefined || address === '' ? '' : `${address}/${prefixLength ?? 0}`;

const memberShape = (endpoint: Endpoint) => ({
  Name: endpoint.ownerName,
  EndpointID: endpoint.id,
  MacAddress: endpoint.mac,
  IPv4Address: withLength(endpoint.address, endpoint.prefixLength),
  IPv6Address: withLength(endpoint.address6, endpoint.prefixLength6),
});

/** GET /networks and GET /networks/{id}. `endpoints` are left out of lists. */
export function networkShape(network: Network, endpoints: readonly Endpoint[] | undefined) {
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: network.addressing.some(({ subnet }) => !subnet.includes(':')) || network.addressing.length === 0,
    EnableIPv6: network.addressing.some(({ subnet }) => subnet.includes(':')),
    IPAM: {
      Driver: 'default',
      Options: network.addressing.length === 0 ? null : {},
      Config: network.addressing.map(({ subnet, gateway, ipRange, auxiliary }) => ({
        Subnet: subnet,
        ...(ipRange === undefined ? {} : { IPRange: ipRange }),
        ...(gateway === undefined ? {} : { Gateway: gateway }),
        ...(auxiliary === undefined ? {} : { AuxiliaryAddresses: auxiliary }),
      })),
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Options: network.options,
    Labels: network.labels,
    ...(endpoints === undefined
      ? {}
      : {
          Containers: Object.fromEntries(endpoints.map((endpoint) => [endpoint.owner, memberShape(endpoint)])),
          Gantry: { Reach: reachOf(network, endpoints) },
        }),
  };
}

/** Who can reach what, in words: of the network, and of each of its containers. */
function reachOf(network: Network, endpoints: readonly Endpoint[]) {
  const off = (name: string) => network.options[`com.docker.network.bridge.${name}`] === 'false';
  return {
    Outward:
      network.driver === 'host'
        ? 'the host itself'
        : network.internal
          ? 'nowhere'
          : off('enable_ip_masquerade')
            ? 'everywhere, under its own addresses'
            : 'everywhere, in the name of the host',
    Inward: `the host${network.internal || network.driver !== 'bridge' ? '' : ', and others by published ports'}`,
    BetweenContainers: !off('enable_icc'),
    HostChains: network.driver === 'bridge' ? ['host_published', 'host_forward'] : [],
    Containers: endpoints.map((endpoint) => ({
      Name: endpoint.ownerName,
      Names: network.resolvesNames ? endpoint.names : [],
      Published: endpoint.ports.map((port) => ({
        Port: `${port.containerPort}/${port.protocol}`,
        HostIp: port.hostAddress,
        HostPort: String(port.hostPort),
        From: reachFrom(port.hostAddress),
      })),
    })),
  };
}

/** Who a published port answers. */
export function reachFrom(hostAddress: string): string {
  if (hostAddress === '0.0.0.0' || hostAddress === '::') return 'every host that reaches this one';
  return hostAddress.startsWith('127.') ? 'this host only' : `every host that reaches ${hostAddress}`;
}

export type NetworkBody = ShapeOf<typeof networkBody>;

/** @throws GantryError unsupported for what belongs to a swarm, and for other address management */
export function createNetworkOf(body: NetworkBody): CreateNetwork {
  if (body.Ingress || body.Scope === 'swarm')
    throw new GantryError('unsupported', 'networks of a swarm are not supported; leave --ingress and --scope out');
  if (body.ConfigOnly || body.ConfigFrom?.Network)
    throw new GantryError(
      'unsupported',
      'networks of configuration only are not supported; leave --config-only and --config-from out',
    );
  const driver = body.IPAM?.Driver ?? '';
  if (driver !== '' && driver !== 'default')
    throw new GantryError('not-found', `address management driver "${driver}" is not known; only "default" is`);
  if (Object.keys(body.IPAM?.Options ?? {}).length > 0)
    throw new GantryError('unsupported', 'options of address management (--ipam-opt) are not supported');
  const ipv4 = body.EnableIPv4 === false ? { 'com.docker.network.enable_ipv4': 'false' } : {};
  return {
    name: body.Name ?? '',
    driver: body.Driver ?? 'bridge',
    internal: body.Internal ?? false,
    attachable: body.Attachable ?? false,
    ipv6: body.EnableIPv6 ?? false,
    labels: body.Labels ?? {},
    options: { ...body.Options, ...ipv4 },
    addressing: (body.IPAM?.Config ?? []).map(({ Subnet, IPRange, Gateway, AuxiliaryAddresses, AuxAddress }) => {
      const auxiliary = AuxiliaryAddresses ?? AuxAddress;
      return {
        ...(Subnet ? { subnet: Subnet } : {}),
        ...(IPRange ? { ipRange: IPRange } : {}),
        ...(Gateway ? { gateway: Gateway } : {}),
        ...(auxiliary ? { auxiliary } : {}),
      };
    }),
  };
}

/** What a container asks of one network: EndpointConfig of connect, and of NetworkingConfig at create. */
export type EndpointBody = ShapeOf<typeof endpointBody>;

/** @throws GantryError unsupported, naming the setting */
export function networkRequestOf(body: EndpointBody | null | undefined): NetworkRequest {
  const { IPAMConfig: addresses, Links: links, Aliases: aliases, MacAddress: mac } = body ?? {};
  if ((addresses?.LinkLocalIPs ?? []).length > 0)
    throw new GantryError('unsupported', 'link-local addresses (--link-local-ip) are not supported');
  if (Object.keys(body?.DriverOpts ?? {}).length > 0)
    throw new GantryError('unsupported', 'options of an endpoint (--driver-opt) are not supported');
  if (body?.GwPriority)
    throw new GantryError(
      'unsupported',
      'gateway priorities (--gw-priority) are not supported: the first network leads out',
    );
  return {
    ...(aliases?.length ? { aliases } : {}),
    ...(links?.length ? { links } : {}),
    ...(addresses?.IPv4Address ? { address: addresses.IPv4Address } : {}),
    ...(addresses?.IPv6Address ? { address6: addresses.IPv6Address } : {}),
    ...(mac ? { mac } : {}),
  };
}
