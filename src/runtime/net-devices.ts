import { closeSync, openSync } from 'node:fs';
import { GantryError, isGantryError } from '#errors/index.ts';
import { kernel, type Link, linkNamed, listAddresses, openNetlink, rtnetlink } from '#linux/index.ts';
import type { LinuxConfig } from '#oci/index.ts';

type NetDevices = NonNullable<LinuxConfig['netDevices']>;

const nameBytes = 15;

/** @throws GantryError invalid, naming the device, before anything is made */
export function checkNetDevices({ netDevices = {} }: LinuxConfig, ownNetwork: boolean): void {
  for (const [device, { name = device }] of Object.entries(netDevices)) {
    if (!ownNetwork)
      throw new GantryError(
        'invalid',
        `linux.netDevices ${device}: it needs a network namespace that is not the host's`,
      );
    if (name === '' || name.length > nameBytes || /[\s/:]/.test(name) || name === '.' || name === '..')
      throw new GantryError('invalid', `linux.netDevices ${device}: "${name}" can be no device's name`);
  }
}

/** An address of the kernel's own making; it makes the same again. */
const isLinkLocal = (address: Uint8Array) => address.length === 16 && address[0] === 0xfe && address[1] === 0x80;

/**
 * Moves devices of the host into the network namespace of a container's process, under their new names and with their
 * addresses, and takes them up (runtime-spec: config-linux.md#network-devices). When that namespace ends, the kernel gives
 * hardware back to the host.
 * @throws GantryError not-found for a device that is not there, SyscallError EEXIST for a name that is taken inside
 */
export function moveNetDevices(devices: NetDevices | undefined, pid: number): void {
  const entries = Object.entries(devices ?? {});
  if (entries.length === 0) return;
  const namespace = openSync(`/proc/${pid}/ns/net`, 'r');
  try {
    using host = openNetlink(kernel, 'route');
    using inside = openNetlink(kernel, 'route', namespace);
    for (const [device, { name = device }] of entries) {
      const about = `moving the network device ${device}`;
      let link: Link;
      try {
        link = linkNamed(host, device);
      } catch (cause) {
        if (!isGantryError(cause) || cause.code !== 'ENODEV') throw cause;
        throw new GantryError('not-found', `linux.netDevices ${device}: the host has no such device`, { cause });
      }
      const addresses = [...listAddresses(host, 4), ...listAddresses(host, 6)].filter(
        ({ index, address }) => index === link.index && !isLinkLocal(address),
      );
      host.request([rtnetlink.moveLink(link.index, namespace, name)], about);
      const { index } = linkNamed(inside, name);
      inside.request(
        [
          rtnetlink.setLink(index, { up: true }),
          ...addresses.map(({ address, prefixLength }) => rtnetlink.addAddress({ index, address, prefixLength })),
        ],
        about,
      );
    }
  } finally {
    closeSync(namespace);
  }
}
