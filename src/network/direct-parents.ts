import { GantryError } from '#errors/index.ts';
import { kernel, linkNamed, listLinks, openNetlink, rtnetlink } from '#linux/index.ts';
import { modeOf } from './container-link.ts';
import { ifGone } from './link-reaper.ts';
import type { NetworkSettings } from './network-settings.ts';
import type { NetworkRecord } from './network-store.ts';

/**
 * The links that macvlan and ipvlan networks lie on: one of the host's (`parent=eth0`), or a VLAN of one (`parent=eth0.10`),
 * which is made and goes with the network.
 */
export interface DirectParents {
  /** @throws GantryError invalid, unsupported where the kernel lacks the driver's links */
  check(network: NetworkRecord, settings: NetworkSettings): void;
  /** Makes the VLANs that networks need and the host has not. */
  open(networks: readonly NetworkRecord[]): void;
  remove(network: NetworkRecord): void;
  close(networks: readonly NetworkRecord[]): void;
}

export function createDirectParents({ mark }: { readonly mark: string }): DirectParents {
  const aliasOf = ({ id }: NetworkRecord) => `${mark}/${id}`;
  const isDirect = ({ driver }: NetworkRecord) => driver === 'macvlan' || driver === 'ipvlan';
  const vlanOf = (parent: string) => /^(.+)\.(\d{1,4})$/.exec(parent);

  function remove(network: NetworkRecord): void {
    using socket = openNetlink(kernel, 'route');
    const own = listLinks(socket).find(({ alias }) => alias === aliasOf(network));
    if (own === undefined) return;
    try {
      socket.request([rtnetlink.deleteLink(own.name)], `removing ${own.name}`);
    } catch (error) {
      ifGone(error);
    }
  }

  return {
    check(network, { parent, mode }) {
      const { driver, name } = network;
      if (driver !== 'macvlan' && driver !== 'ipvlan') return;
      if (parent === undefined)
        throw new GantryError('invalid', `network ${name}: ${driver} needs a link of the host: -o parent=eth0`);
      if (mode !== undefined) modeOf(driver, mode);
      using socket = openNetlink(kernel, 'route');
      const links = listLinks(socket);
      const [, below = parent] = vlanOf(parent) ?? [];
      if (!links.some((link) => link.name === parent || link.name === below))
        throw new GantryError('invalid', `network ${name}: this host has no link "${parent}"`);
      tryOut(driver, links.find((link) => link.name === parent)?.index ?? linkNamed(socket, below).index);
    },
    open(networks) {
      using socket = openNetlink(kernel, 'route');
      for (const network of networks.filter(isDirect)) {
        const { parent = '' } = network.options;
        const [, below = '', tag = ''] = vlanOf(parent) ?? [];
        if (tag === '' || listLinks(socket).some(({ name }) => name === parent)) continue;
        socket.request(
          [
            rtnetlink.createStacked({
              kind: 'vlan',
              mode: Number(tag),
              parent: linkNamed(socket, below).index,
              name: parent,
              up: true,
            }),
            rtnetlink.setLink(parent, { alias: aliasOf(network) }),
          ],
          `making ${parent}`,
        );
      }
    },
    remove,
    close(networks) {
      for (const network of networks.filter(isDirect)) remove(network);
    },
  };
}

/** Makes a link of the kind and takes it away again. @throws GantryError unsupported where the kernel has none */
function tryOut(kind: 'macvlan' | 'ipvlan', parent: number): void {
  using socket = openNetlink(kernel, 'route');
  const name = `gttry${process.pid}`.slice(0, 15);
  try {
    socket.request(
      [rtnetlink.createStacked({ kind, mode: kind === 'macvlan' ? 'bridge' : 'l2', parent, name })],
      `trying out ${kind}`,
    );
  } catch (cause) {
    throw new GantryError('unsupported', `this kernel makes no ${kind} link: load its module, or use another driver`, {
      cause,
    });
  }
  socket.request([rtnetlink.deleteLink(name)], `removing ${name}`);
}
