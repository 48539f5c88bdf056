import { isIP } from 'node:net';
import { GantryError } from '#errors/index.ts';

/** A container's /etc/hosts (hosts(5)). `extraHosts` are `name:address`; `host-gateway` stands for the bridge's address. */
export function hostsFile(container: {
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly gateway: string | undefined;
  readonly extraHosts: readonly string[];
}): string {
  const lines = [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'ff00::0\tip6-mcastprefix',
    'ff02::1\tip6-allnodes',
    'ff02::2\tip6-allrouters',
  ];
  for (const address of container.addresses) lines.push(`${address}\t${container.hostname}`);
  for (const extra of container.extraHosts) {
    const [, name = '', asked = ''] = /^([^:=]+)[:=](.+)$/.exec(extra) ?? [];
    const address = asked === 'host-gateway' ? (container.gateway ?? '127.0.0.1') : asked.replace(/^\[(.*)\]$/, '$1');
    if (name === '' || isIP(address) === 0)
      throw new GantryError('invalid', `bad extra host "${extra}"; expected name:address or name:host-gateway`);
    lines.push(`${address}\t${name}`);
  }
  return `${lines.join('\n')}\n`;
}

/** What `--dns`, `--dns-search` and `--dns-option` ask for; each given list replaces the host's. */
export interface ResolvRequest {
  readonly dns: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

interface ResolvLines {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** @throws GantryError invalid for a server that is no address */
function merged(host: string, asked: ResolvRequest): ResolvLines {
  for (const server of asked.dns)
    if (isIP(server) === 0) throw new GantryError('invalid', `--dns "${server}" is not an address`);
  const lines = host.split('\n').filter((line) => !/^\s*[#;]/.test(line));
  const words = (key: string) =>
    lines.flatMap((line) => {
      const [first, ...rest] = line.trim().split(/\s+/);
      return first === key ? [rest] : [];
    });
  const or = (given: readonly string[], found: readonly string[]) => (given.length > 0 ? given : found);
  return {
    servers: or(
      asked.dns,
      words('nameserver').flatMap(([server]) => server ?? []),
    ),
    // The last line counts; a single dot takes away what the host has.
    search: or(asked.search, words('search').at(-1) ?? words('domain').at(-1) ?? []).filter((domain) => domain !== '.'),
    options: or(asked.options, words('options').flat()),
  };
}

const written = ({ servers, search, options }: ResolvLines): string =>
  [
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
  ]
    .map((line) => `${line}\n`)
    .join('');

/**
 * A container's /etc/resolv.conf (resolv.conf(5)): the host's, without name servers on loopback, which a container
 * cannot reach.
 */
export function resolvConf(host: string, asked: ResolvRequest): string {
  const lines = merged(host, asked);
  return written({ ...lines, servers: lines.servers.filter((server) => !/^127\.|^::1$/.test(server)) });
}

/** The same for a container that has a resolver of its own, which asks the others. */
export function resolverConf(host: string, asked: ResolvRequest): string {
  const { search, options } = merged(host, asked);
  const dots = options.some((option) => option.startsWith('ndots:')) ? [] : ['ndots:0'];
  return written({ servers: ['127.0.0.11'], search, options: [...options, ...dots] });
}
