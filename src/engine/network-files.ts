import { isIP } from 'node:net';
import { GantryError } from '#errors/index.ts';

/** A container's /etc/hosts (hosts(5)). `extraHosts` are `name:address`; `host-gateway` stands for the bridge's address. */
export function hostsFile(container: {
  readonly hostname: string;
  readonly address: string | undefined;
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
  if (container.address !== undefined) lines.push(`${container.address}\t${container.hostname}`);
  for (const extra of container.extraHosts) {
    const [, name = '', asked = ''] = /^([^:=]+)[:=](.+)$/.exec(extra) ?? [];
    const address = asked === 'host-gateway' ? (container.gateway ?? '127.0.0.1') : asked.replace(/^\[(.*)\]$/, '$1');
    if (name === '' || isIP(address) === 0)
      throw new GantryError('invalid', `bad extra host "${extra}"; expected name:address or name:host-gateway`);
    lines.push(`${address}\t${name}`);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * A container's /etc/resolv.conf (resolv.conf(5)): the host's, without name servers on loopback, which a container
 * cannot reach; `dns` replaces all of them.
 */
export function resolvConf(host: string, dns: readonly string[]): string {
  for (const server of dns)
    if (isIP(server) === 0) throw new GantryError('invalid', `--dns "${server}" is not an address`);
  const lines = host.split('\n').filter((line) => line.trim() !== '' && !/^\s*[#;]/.test(line));
  const server = (line: string) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
  const rest = lines.filter((line) => server(line) === undefined);
  const found = lines.map(server).filter((s) => s !== undefined && !/^127\.|^::1$/.test(s));
  return `${[...(dns.length > 0 ? dns : found).map((s) => `nameserver ${s}`), ...rest].join('\n')}\n`;
}
