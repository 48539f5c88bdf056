import { GantryError, isGantryError } from '#errors/index.ts';
import { kernel, linkNamed, type NetlinkSocket, openNetlink, rtnetlink, SyscallError } from '#linux/index.ts';
import { addressBytes } from './addresses.ts';
import { carryLargePackets, TO_CONTAINERS } from './bridge-link.ts';
import { loopbackUp, type NetworkNamespace, openNamespaceOf, setIpv6 } from './container-namespace.ts';
import { ifGone } from './link-reaper.ts';
import type { Endpoint } from './networks.ts';

/** The bridge's side of a container's link. */
export interface BridgePort {
  readonly kind: 'bridge';
  readonly name: string;
  readonly alias: string;
  readonly bridge: number;
  readonly mtu: number;
  /** It reaches the bridge, and no other isolated port of it. */
  readonly isolated: boolean;
}

/** A link that lies on one of the host's. */
export interface DirectLink {
  readonly kind: 'macvlan' | 'ipvlan';
  readonly parent: string;
  readonly mode: string | undefined;
  readonly mtu: number | undefined;
}

/**
 * Makes the endpoint's link in the process's network namespace, with its addresses: the one end of a veth pair whose other is
 * a port of the bridge, or a macvlan or ipvlan. `asDefault`: the default route leaves by it. @throws GantryError; then no link is left
 */
export async function connectLink(
  endpoint: Endpoint,
  pid: number,
  side: BridgePort | DirectLink,
  { asDefault }: { readonly asDefault: boolean },
): Promise<void> {
  using namespace = openNamespaceOf(pid);
  setIpv6(namespace, endpoint.address6 !== undefined);
  using host = openNetlink(kernel, 'route');
  const about = `connecting container ${endpoint.ownerName} to ${endpoint.networkName}`;
  using undo = new DisposableStack();
  if (side.kind === 'bridge') {
    undo.defer(() => deleteLink(host, side.name));
    await host.requestAsync(
      [
        rtnetlink.createVeth(
          { name: side.name, mtu: side.mtu, master: side.bridge, up: true, gsoIpv4MaxSize: TO_CONTAINERS },
          { name: endpoint.link, mac: endpoint.mac, mtu: side.mtu },
          namespace.fd,
        ),
        rtnetlink.setLink(side.name, {
          alias: side.alias,
          hairpin: true,
          ...(side.isolated ? { isolated: true } : {}),
        }),
      ],
      about,
    );
    carryLargePackets(host, side.bridge);
  } else await host.requestAsync([stackedLink(host, namespace, endpoint, side)], about);
  using inside = openNetlink(kernel, 'route', namespace.fd);
  if (side.kind !== 'bridge') undo.defer(() => deleteLink(inside, endpoint.link));
  const { index } = linkNamed(inside, endpoint.link);
  inside.request(
    [
      loopbackUp(),
      rtnetlink.setLink(index, { up: true }),
      ...addressesOf(endpoint).map((address) => rtnetlink.addAddress({ index, ...address })),
      ...(asDefault ? routesOf(endpoint, index, side.kind === 'ipvlan' && side.mode?.startsWith('l3') === true) : []),
    ],
    about,
  );
  undo.move();
}

function stackedLink(host: NetlinkSocket, namespace: NetworkNamespace, endpoint: Endpoint, side: DirectLink) {
  const mode = side.mode ?? (side.kind === 'macvlan' ? 'bridge' : 'l2');
  return rtnetlink.createStacked({
    kind: side.kind,
    mode: modeOf(side.kind, mode),
    parent: linkNamed(host, side.parent).index,
    nsFd: namespace.fd,
    name: endpoint.link,
    ...(side.kind === 'macvlan' ? { mac: endpoint.mac } : {}), // an ipvlan has its parent's
    ...(side.mtu === undefined ? {} : { mtu: side.mtu }),
  });
}

/** @throws GantryError invalid */
export function modeOf(kind: DirectLink['kind'], mode: string) {
  switch (mode) {
    case 'bridge':
    case 'private':
    case 'vepa':
    case 'passthru':
      if (kind === 'macvlan') return mode;
      break;
    case 'l2':
    case 'l3':
    case 'l3s':
      if (kind === 'ipvlan') return mode;
  }
  throw new GantryError('invalid', `"${mode}" is no mode of ${kind}`);
}

function addressesOf({ address, prefixLength, address6, prefixLength6 }: Endpoint) {
  return [
    ...(address === '' ? [] : [{ address: addressBytes(address), prefixLength }]),
    ...(address6 === undefined ? [] : [{ address: addressBytes(address6), prefixLength: prefixLength6 ?? 128 }]),
  ];
}

function routesOf({ gateway, gateway6 }: Endpoint, index: number, byDevice = false) {
  if (byDevice) return [rtnetlink.addDeviceRoute(index)];
  return [gateway, gateway6].flatMap((one) =>
    one === undefined || one === '' ? [] : [rtnetlink.addDefaultRoute(index, addressBytes(one))],
  );
}

/** Lets the default routes of a process's namespace leave by an endpoint's link, or by none. */
export function moveDefaultRoute(pid: number, endpoint: Endpoint | undefined): void {
  using namespace = openNamespaceOf(pid);
  using inside = openNetlink(kernel, 'route', namespace.fd);
  const about = `moving the default route of process ${pid}`;
  const routes = endpoint === undefined ? [] : routesOf(endpoint, linkNamed(inside, endpoint.link).index);
  const families = endpoint === undefined ? [] : [endpoint.gateway, endpoint.gateway6];
  for (const [at, family] of [4, 6].entries())
    if (families[at] === undefined || families[at] === '')
      try {
        inside.request([rtnetlink.deleteDefaultRoute(family === 6 ? 6 : 4)], about);
      } catch (error) {
        if (!(error instanceof SyscallError) || error.code !== 'ESRCH') throw error; // there was none
      }
  if (routes.length > 0) inside.request(routes, about);
}

/** Takes a macvlan or ipvlan out of a process's namespace; fine where the process is gone, since its links are too. */
export function removeDirectLink(pid: number, link: string): void {
  try {
    using namespace = openNamespaceOf(pid);
    using inside = openNetlink(kernel, 'route', namespace.fd);
    deleteLink(inside, link);
  } catch (error) {
    if (!isGantryError(error, 'not-found')) throw error;
  }
}

function deleteLink(socket: NetlinkSocket, name: string): void {
  try {
    socket.request([rtnetlink.deleteLink(name)], `deleting ${name}`);
  } catch (error) {
    ifGone(error);
  }
}
