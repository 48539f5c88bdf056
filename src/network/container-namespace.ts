import { closeSync, fstatSync, openSync, statSync, writeSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import { check, kernel, openNetlink, rtnetlink } from '#linux/index.ts';

const LOOPBACK_INDEX = 1; // in every network namespace

/** The network namespace of a process, kept open. */
export interface NetworkNamespace extends Disposable {
  readonly fd: number;
}

/** @throws GantryError not-found where the process has ended, invalid where its namespace is our own */
export function openNamespaceOf(pid: number): NetworkNamespace {
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
const ENOENT = 2;

/** Sets a sysctl of a namespace. A kernel without IPv6 lacks its settings: that is fine. */
function setSysctl({ fd: namespace }: NetworkNamespace, path: string, value: string): void {
  // /proc/sys/net shows the namespace of the thread that opens it.
  const fd = kernel.callInNamespace(namespace, 'openat', AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (fd === -ENOENT) return;
  check(fd, 'openat', path);
  try {
    writeSync(fd, value);
  } finally {
    closeSync(fd);
  }
}

/** Whether links that come into the namespace from now on speak IPv6. They believe no router in either case. */
export function setIpv6(namespace: NetworkNamespace, on: boolean): void {
  setSysctl(namespace, '/proc/sys/net/ipv6/conf/default/disable_ipv6', on ? '0' : '1');
  setSysctl(namespace, '/proc/sys/net/ipv6/conf/default/accept_ra', '0');
}

/** Brings `lo` up in the network namespace of a process. @throws GantryError */
export function raiseLoopback(pid: number): void {
  using namespace = openNamespaceOf(pid);
  using inside = openNetlink(kernel, 'route', namespace.fd);
  inside.request([rtnetlink.setLink(LOOPBACK_INDEX, { up: true })], `raising lo of process ${pid}`);
}

export const loopbackUp = () => rtnetlink.setLink(LOOPBACK_INDEX, { up: true });
