import { GantryError } from '#errors/index.ts';
import type { ChangePorts, PortPattern, PortRequest } from '#network/index.ts';
import type { Context } from './context.ts';
import type { Container, ContainerOptions } from './engine.ts';
import { containerOfMode } from './spec/namespaces.ts';

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

/** What of a container is different after its ports changed. */
export interface ChangedPorts {
  readonly container?: Pick<Container, 'endpoints' | 'resolved'>;
  readonly options?: Pick<ContainerOptions, 'ports'>;
}

/**
 * Publishes ports and takes others back. Of a running container the kernel's maps change first; what is recorded is what the
 * next start publishes. @throws GantryError not-found, conflict, invalid
 */
export async function changePublished(
  { networks }: Pick<Context, 'networks'>,
  container: Container,
  { add, remove }: ChangePorts,
): Promise<ChangedPorts> {
  const { id, options, resolved, state } = container;
  if (options.networkMode === 'host' || options.networkMode === 'none' || containerOfMode(options.networkMode))
    throw new GantryError(
      'invalid',
      `ports of ${container.name} cannot be published: its network is ${options.networkMode}`,
    );
  const running = state.status === 'running' || state.status === 'paused';
  const asked = options.ports ?? [];
  const wasAsked = (pattern: PortPattern) => asked.some((port) => fits(port, pattern));
  // The kernel knows the ephemeral ones too; where nothing runs, what was asked for is all there is.
  const unknown = running ? undefined : remove.find((pattern) => !wasAsked(pattern));
  if (unknown !== undefined)
    throw new GantryError('not-found', `port ${unknown.containerPort}/${unknown.protocol} is not published`);
  const before = networks.endpointsOf(id).flatMap(({ ports }) => ports);
  if (running) await networks.changePorts(id, { add, remove });
  const gone = before.filter((port) => remove.some((pattern) => fits(port, pattern)));
  const left = asked.filter(
    (port) =>
      !remove.some((pattern) => fits(port, pattern)) &&
      // Asked for without a host port, and taken back by the one it got.
      !(
        !port.hostPort && gone.some((one) => one.containerPort === port.containerPort && one.protocol === port.protocol)
      ),
  );
  const names = add.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`);
  return {
    options: { ports: [...left, ...add] },
    container: {
      resolved: { ...resolved, exposedPorts: [...new Set([...resolved.exposedPorts, ...names])] },
      ...(running ? { endpoints: networks.endpointsOf(id) } : {}),
    },
  };
}

const anyAddress = (address = '') => (address === '' ? '0.0.0.0' : address);

/** Whether a port is one of those that a pattern means; a requested one may leave address and port to the engine. */
const fits = (port: PortRequest, pattern: PortPattern): boolean =>
  port.protocol === pattern.protocol &&
  port.containerPort === pattern.containerPort &&
  (pattern.hostAddress === undefined || anyAddress(port.hostAddress) === pattern.hostAddress) &&
  (pattern.hostPort === undefined || port.hostPort === pattern.hostPort);
