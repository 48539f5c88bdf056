import { closeSync, fstatSync, openSync, statSync, writeSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import { check, kernel, linkNamed, openNetlink, rtnetlink } from '#linux/index.ts';
import { ifGone } from './link-reaper.ts';
import type { Endpoint } from './networks.ts';
import { addressBytes } from './subnets.ts';

const LOOPBACK_INDEX = 1; // in every network namespace

interface NetworkNamespace extends Disposable {
  readonly fd: number;
}

/** @throws GantryError not-found where the process has ended, invalid where its namespace is our own */
function openNamespaceOf(pid: number): NetworkNamespace {
  const path = `/proc/${pid}/ns/net`;
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw new GantryError('not-found', `process ${pid} has ended before its network was connected`, { cause });
  }
  if (fstatSync(fd).ino === statSync('/proc/self/ns/net').ino) {
    closeSync(fd);
    throw new GantryError('invalid', `process ${pid} is in the network namespace of the host`);
  }
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

const AT_FDCWD = -100;
const O_WRONLY = 1;
const O_CLOEXEC = 0o2000000;

/** Links that come into the namespace from now on speak no IPv6 and believe no router. A kernel without IPv6 is fine. */
function turnOffIpv6(namespace: NetworkNamespace): void {
  for (const [name, value] of [
    ['disable_ipv6', '1'],
    ['accept_ra', '0'],
  ] as const) {
    // /proc/sys/net shows the namespace of the thread that opens it.
    const path = `/proc/sys/net/ipv6/conf/default/${name}`;
    const fd = kernel.callInNamespace(namespace.fd, 'openat', AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd === -2) return; // ENOENT
    check(fd, 'openat', path);
    try {
      writeSync(fd, value);
    } finally {
      closeSync(fd);
    }
  }
}

export interface HostSide {
  readonly name: string;
  readonly alias: string;
  readonly bridge: number;
  readonly mtu: number;
}

/**
 * Makes a veth pair whose one end is `eth0` of the process's network namespace, with the endpoint's addresses, and whose
 * other end is a port of the bridge. @throws GantryError; then no link is left
 */
export async function connectLink(
  endpoint: Endpoint,
  pid: number,
  { name, alias, bridge, mtu }: HostSide,
): Promise<void> {
  using namespace = openNamespaceOf(pid);
  turnOffIpv6(namespace);
  using host = openNetlink(kernel, 'route');
  const about = `connecting container ${endpoint.ownerName}`;
  try {
    await host.requestAsync(
      [
        rtnetlink.createVeth(
          { name, mtu, master: bridge, up: true },
          { name: 'eth0', mac: endpoint.mac, mtu },
          namespace.fd,
        ),
        rtnetlink.setLink(name, { alias, hairpin: true }),
      ],
      about,
    );
    using inside = openNetlink(kernel, 'route', namespace.fd);
    const { index } = linkNamed(inside, 'eth0');
    inside.request(
      [
        rtnetlink.setLink(LOOPBACK_INDEX, { up: true }),
        rtnetlink.setLink(index, { up: true }),
        rtnetlink.addAddress({ index, address: addressBytes(endpoint.address), prefixLength: endpoint.prefixLength }),
        rtnetlink.addDefaultRoute(index, addressBytes(endpoint.gateway)),
      ],
      about,
    );
  } catch (error) {
    await host.requestAsync([rtnetlink.deleteLink(name)], `undoing ${about}`).catch(ifGone);
    throw error;
  }
}

/** Brings `lo` up in the network namespace of a process. @throws GantryError */
export function raiseLoopback(pid: number): void {
  using namespace = openNamespaceOf(pid);
  using inside = openNetlink(kernel, 'route', namespace.fd);
  inside.request([rtnetlink.setLink(LOOPBACK_INDEX, { up: true })], `raising lo of process ${pid}`);
}
