import { defineCommand } from '../command.ts';
import { endpointBody } from '../network-spec.ts';
import { integer, list, text } from '../options.ts';
import { pairs } from '../pairs.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NETWORK CONTAINER',
  summary: 'Connect a container to a network',
  options: {
    alias: list('Add network-scoped alias for the container', { label: 'strings' }),
    'driver-opt': list('driver options for the network', { label: 'strings' }),
    'gw-priority': integer('Highest gw-priority provides the default gateway'),
    ip: text('IPv4 address (e.g., "172.30.100.104")'),
    ip6: text('IPv6 address (e.g., "2001:db8::33")'),
    link: list('Add link to another container'),
    'link-local-ip': list('Add a link-local address for the container', { label: 'strings' }),
  },
  args: [2, 2],
  async run({ engine }, { values, args: [network = '', container = ''] }) {
    const { ip, ip6, alias, link: links, 'link-local-ip': linkLocal } = values;
    await engine.json('POST', `/networks/${encodeURIComponent(network)}/connect`, {
      json: {
        Container: container,
        EndpointConfig: {
          ...endpointBody({ ip, ip6, alias, links, linkLocal, mac: '' }),
          ...(values['driver-opt'].length === 0 ? {} : { DriverOpts: pairs(values['driver-opt']) }),
          ...(values['gw-priority'] === undefined ? {} : { GwPriority: values['gw-priority'] }),
        },
      },
    });
    return 0;
  },
});
