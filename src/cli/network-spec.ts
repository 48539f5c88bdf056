import { commaFields } from './mount-spec.ts';
import { pairs } from './pairs.ts';

/** What a container asks of one network, as the API takes it. */
export interface EndpointBody {
  IPAMConfig?: { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: readonly string[] };
  Links?: readonly string[];
  Aliases?: readonly string[];
  MacAddress?: string;
  DriverOpts?: Record<string, string>;
  GwPriority?: number;
}

export interface EndpointFlags {
  readonly ip: string;
  readonly ip6: string;
  readonly alias: readonly string[];
  readonly links: readonly string[];
  readonly linkLocal: readonly string[];
  readonly mac: string;
}

/** @throws Error for a flag's value that cannot be read */
export function endpointBody({ ip, ip6, alias, links, linkLocal, mac }: EndpointFlags): EndpointBody {
  const addresses = {
    ...(ip === '' ? {} : { IPv4Address: ip }),
    ...(ip6 === '' ? {} : { IPv6Address: ip6 }),
    ...(linkLocal.length === 0 ? {} : { LinkLocalIPs: linkLocal }),
  };
  return {
    ...(Object.keys(addresses).length === 0 ? {} : { IPAMConfig: addresses }),
    ...(links.length === 0 ? {} : { Links: links }),
    ...(alias.length === 0 ? {} : { Aliases: alias }),
    ...(mac === '' ? {} : { MacAddress: mac }),
  };
}

export interface NetworkSpec {
  readonly name: string;
  readonly endpoint: EndpointBody;
}

/** Reads one `--network`: a name, or `name=front,alias=web,ip=10.0.0.5,…`. @throws Error */
export function parseNetwork(written: string): NetworkSpec {
  if (!/^[^,]*=/.test(written)) return { name: written, endpoint: {} };
  const flags = { ip: '', ip6: '', mac: '', name: '' };
  const [alias, linkLocal, options]: string[][] = [[], [], []];
  let priority: number | undefined;
  for (const field of commaFields(written)) {
    const at = field.indexOf('=');
    const [key, value] = [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1).trim()];
    if (at < 1) throw new Error(`invalid field ${field} must be a key=value pair`);
    switch (key) {
      case 'name':
      case 'ip':
      case 'ip6':
        flags[key] = value;
        break;
      case 'mac-address':
        flags.mac = value;
        break;
      case 'alias':
        alias?.push(value);
        break;
      case 'link-local-ip':
        linkLocal?.push(value);
        break;
      case 'driver-opt':
        options?.push(value);
        break;
      case 'gw-priority':
        priority = Number(value);
        if (!Number.isInteger(priority)) throw new Error(`invalid gw-priority: ${value}`);
        break;
      default:
        throw new Error(`invalid field key ${key}`);
    }
  }
  if (flags.name === '') throw new Error(`network name cannot be empty in "${written}"`);
  return {
    name: flags.name,
    endpoint: {
      ...endpointBody({ ...flags, alias: alias ?? [], linkLocal: linkLocal ?? [], links: [] }),
      ...((options ?? []).length === 0 ? {} : { DriverOpts: pairs(options ?? []) }),
      ...(priority === undefined ? {} : { GwPriority: priority }),
    },
  };
}
