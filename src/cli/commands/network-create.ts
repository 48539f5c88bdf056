import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { flag, list, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { pairs } from '../pairs.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NETWORK',
  summary: 'Create a network',
  options: {
    attachable: flag('Enable manual container attachment'),
    'aux-address': list('Auxiliary IPv4 or IPv6 addresses used by Network driver', { label: 'map' }),
    'config-from': text('The network from which to copy the configuration'),
    'config-only': flag('Create a configuration only network'),
    driver: text('Driver to manage the Network', { short: 'd', initial: 'bridge' }),
    gateway: list('IPv4 or IPv6 Gateway for the master subnet', { label: 'ipSlice' }),
    ingress: flag('Create swarm routing-mesh network'),
    internal: flag('Restrict external access to the network'),
    'ip-range': list('Allocate container ip from a sub-range', { label: 'ipNetSlice' }),
    'ipam-driver': text('IP Address Management Driver', { initial: 'default' }),
    'ipam-opt': list('Set IPAM driver specific options', { label: 'map' }),
    ipv4: flag('Enable or disable IPv4 address assignment', { initial: true }),
    ipv6: flag('Enable or disable IPv6 address assignment'),
    label: list('Set metadata on a network'),
    opt: list('Set driver specific options', { short: 'o', label: 'map' }),
    scope: text("Control the network's scope"),
    subnet: list('Subnet in CIDR format that represents a network segment'),
  },
  args: [1, 1],
  async run({ engine }, { values, given, args: [name = ''] }) {
    const { Id, Warning } = await engine.json<{ Id: string; Warning?: string }>('POST', '/networks/create', {
      json: {
        Name: name,
        Driver: values.driver,
        Scope: values.scope,
        Internal: values.internal,
        Attachable: values.attachable,
        Ingress: values.ingress,
        ConfigOnly: values['config-only'],
        ...(values['config-from'] === '' ? {} : { ConfigFrom: { Network: values['config-from'] } }),
        ...(given.has('ipv4') ? { EnableIPv4: values.ipv4 } : {}),
        ...(given.has('ipv6') ? { EnableIPv6: values.ipv6 } : {}),
        IPAM: {
          Driver: values['ipam-driver'],
          Options: pairs(values['ipam-opt']),
          Config: ipamOf(values),
        },
        Options: pairs(values.opt),
        Labels: pairs(values.label),
      },
    });
    if (Warning) process.stderr.write(`WARNING: ${Warning}\n`);
    writeOut(`${Id}\n`);
    return 0;
  },
});

interface IpamFlags {
  readonly subnet: readonly string[];
  readonly gateway: readonly string[];
  readonly 'ip-range': readonly string[];
  readonly 'aux-address': readonly string[];
}

/** Each gateway, range and auxiliary address goes to the subnet of its own family. @throws Failure */
function ipamOf(values: IpamFlags) {
  const family = (address: string) => (address.includes(':') ? 6 : 4);
  const ofFamily = (wanted: 4 | 6) => {
    const [subnets, gateways, ranges] = [values.subnet, values.gateway, values['ip-range']].map((flags) =>
      flags.flatMap((flag) => flag.split(',')).filter((address) => family(address) === wanted),
    );
    const auxiliary = Object.entries(pairs(values['aux-address'])).filter(([, address]) => family(address) === wanted);
    const [subnet, gateway, range] = [subnets, gateways, ranges].map((found) => found?.[0]);
    if (subnet === undefined && (gateway ?? range ?? auxiliary[0]) !== undefined)
      throw new Failure(`no matching subnet for ${gateway ?? range ?? auxiliary[0]?.[1]}: give one with --subnet`, 1);
    return (subnets ?? []).map((text, index) => ({
      Subnet: text,
      ...(gateways?.[index] === undefined ? {} : { Gateway: gateways[index] }),
      ...(ranges?.[index] === undefined ? {} : { IPRange: ranges[index] }),
      ...(index > 0 || auxiliary.length === 0 ? {} : { AuxiliaryAddresses: Object.fromEntries(auxiliary) }),
    }));
  };
  return [...ofFamily(4), ...ofFamily(6)];
}
