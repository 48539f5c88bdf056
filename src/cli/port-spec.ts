import { isIP } from 'node:net';
import { GantryError } from '#errors/index.ts';

export interface PortSpecs {
  /** `8080/tcp` → {} */
  readonly exposed: Readonly<Record<string, object>>;
  readonly bindings: Readonly<Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[]>>;
}

interface Range {
  readonly first: number;
  readonly last: number;
}

function range(text: string, what: string, whole: string): Range {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (match === null || first > 65535 || last > 65535) throw new GantryError('invalid', `invalid ${what}: ${whole}`);
  if (last < first) throw new GantryError('invalid', `invalid ${what}: ${whole}: the range ends before it begins`);
  return { first, last };
}

const protocolOf = (text: string, whole: string): string => {
  const protocol = text.toLowerCase();
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')
    throw new GantryError('invalid', `invalid proto: ${text} in ${whole}; expected tcp, udp or sctp`);
  return protocol;
};

/**
 * Reads `-p` values: `[[IP:][HOST[-HOST]]:]CONTAINER[-CONTAINER][/PROTOCOL]`, IPv6 addresses in brackets, and the long form
 * `published=8080,target=80,protocol=udp`. @throws GantryError invalid, naming the part that is wrong
 */
export function parsePorts(specs: readonly string[], exposes: readonly string[] = []): PortSpecs {
  const exposed: Record<string, object> = {};
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const written of specs) {
    const spec = written.includes('=') ? shortForm(written) : written;
    const [address = '', protocolText = 'tcp', ...more] = spec.split('/');
    if (more.length > 0) throw new GantryError('invalid', `invalid publish value: ${written}`);
    const protocol = protocolOf(protocolText, written);
    const parts = /^(?:(?:\[([^\]]*)\]|([^:]*)):)?(?:([^:]*):)?([^:]*)$/.exec(address);
    if (parts === null)
      throw new GantryError('invalid', `invalid publish value: ${written}; IPv6 addresses need brackets`);
    const [, v6, v4, middle, container = ''] = parts;
    // `a:b` is host:container; `a:b:c` is ip:host:container.
    const ip = v6 ?? (middle === undefined ? '' : (v4 ?? ''));
    const host = v6 !== undefined || middle !== undefined ? (middle ?? '') : (v4 ?? '');
    if (ip !== '' && isIP(ip) === 0) throw new GantryError('invalid', `invalid IP address: ${ip} in ${written}`);
    if (container === '') throw new GantryError('invalid', `no port specified: ${written}<empty>`);
    const inside = range(container, 'containerPort', container);
    const outside = host === '' ? undefined : range(host, 'hostPort', host);
    const count = inside.last - inside.first + 1;
    const hosts = outside === undefined ? 0 : outside.last - outside.first + 1;
    if (outside !== undefined && hosts !== count && count !== 1)
      throw new GantryError(
        'invalid',
        `invalid ranges specified for container and host Ports: ${container} and ${host}`,
      );
    for (let offset = 0; offset < count; offset++) {
      const key = `${inside.first + offset}/${protocol}`;
      const hostPort =
        outside === undefined
          ? ''
          : count === 1 && hosts > 1
            ? `${outside.first}-${outside.last}`
            : String(outside.first + offset);
      exposed[key] = {};
      bindings[key] = [...(bindings[key] ?? []), { HostIp: ip, HostPort: hostPort }];
    }
  }
  for (const expose of exposes) {
    const [ports = '', protocolText = 'tcp'] = expose.split('/');
    const protocol = protocolOf(protocolText, expose);
    const { first, last } = range(ports, 'range format for --expose', expose);
    for (let port = first; port <= last; port++) exposed[`${port}/${protocol}`] = {};
  }
  return { exposed, bindings };
}

function shortForm(written: string): string {
  const fields = new Map<string, string>();
  for (const field of written.split(',')) {
    const at = field.indexOf('=');
    const key = field.slice(0, at).trim().toLowerCase();
    if (at < 1 || !['protocol', 'published', 'target', 'mode'].includes(key))
      throw new GantryError('invalid', `invalid field key ${JSON.stringify(key || field)} in the port "${written}"`);
    fields.set(key, field.slice(at + 1));
  }
  const target = fields.get('target');
  if (target === undefined) throw new GantryError('invalid', `no target port specified in "${written}"`);
  return `${fields.get('published') ?? ''}:${target}/${fields.get('protocol') ?? 'tcp'}`;
}
