import { isIP } from 'node:net';
import { GantryError } from '#errors/index.ts';
import type { CreateBody } from './container-create.ts';

const millisecond = 1_000_000;

/** Durations are in nanoseconds; 0 stands for the image's or the default. */
function checkHealth(check: CreateBody['Healthcheck']): void {
  for (const name of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const) {
    const value = check?.[name] ?? 0;
    if (value !== 0 && value < millisecond)
      throw new GantryError('invalid', `${name} in Healthcheck cannot be less than 1ms`);
  }
  if ((check?.Retries ?? 0) < 0) throw new GantryError('invalid', 'Retries in Healthcheck cannot be negative');
  const [kind] = check?.Test ?? [];
  if (kind !== undefined && !['', 'NONE', 'CMD', 'CMD-SHELL'].includes(kind))
    throw new GantryError('invalid', `unknown type "${kind}" of Healthcheck; expected NONE, CMD or CMD-SHELL`);
}

/** `name:address`; Docker takes `name=address` and brackets around an IPv6 address too, and `host-gateway` for the bridge's. */
function checkHost(entry: string): void {
  const at = entry.search(/[:=]/);
  const address = entry.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
  if (at < 1 || address === '') throw new GantryError('invalid', `bad format for add-host: "${entry}"`);
  if (address !== 'host-gateway' && isIP(address) === 0)
    throw new GantryError('invalid', `invalid IP address in add-host: "${address}"`);
}

/** What would otherwise come to light at the start. @throws GantryError invalid, in Docker's words */
export function checkCreate(body: CreateBody): void {
  checkHealth(body.Healthcheck);
  for (const entry of body.HostConfig?.ExtraHosts ?? []) checkHost(entry);
  for (const server of body.HostConfig?.Dns ?? [])
    if (isIP(server) === 0) throw new GantryError('invalid', `invalid DNS server: "${server}" is no IP address`);
  const { MacAddress: mac = '' } = body;
  if (mac !== '' && !/^[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}$/i.test(mac))
    throw new GantryError('invalid', `invalid MAC address "${mac}"; expected e.g. 02:42:ac:11:00:02`);
  for (const port of Object.keys(body.ExposedPorts ?? {}))
    if (!/^\d+(?:-\d+)?(?:\/(?:tcp|udp|sctp))?$/.test(port) || Number.parseInt(port, 10) > 65535)
      throw new GantryError(
        'invalid',
        `invalid port "${port}" in ExposedPorts; expected 1-65535 with /tcp, /udp or /sctp`,
      );
}
