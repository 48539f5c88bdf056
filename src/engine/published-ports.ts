import type { PortRequest } from '#network/index.ts';
import type { ContainerOptions } from './engine.ts';

/** The ports to publish: those asked for, and with `-P` every exposed one that was not, at an ephemeral port. */
export function portRequests(options: ContainerOptions, exposed: readonly string[]): readonly PortRequest[] {
  const asked = options.ports ?? [];
  if (!options.publishAll) return asked;
  const more = exposed.flatMap((text): PortRequest[] => {
    const [port = '', protocol = 'tcp'] = text.split('/');
    const containerPort = Number(port);
    if (protocol !== 'tcp' && protocol !== 'udp') return [];
    if (asked.some((p) => p.containerPort === containerPort && p.protocol === protocol)) return [];
    return [{ protocol, containerPort }];
  });
  return [...asked, ...more];
}
