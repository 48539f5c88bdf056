import { GantryError, isGantryError } from '#errors/index.ts';
import type { Context } from './context.ts';
import type { Container, ContainerOptions } from './engine.ts';

interface Linked {
  readonly alias: string;
  readonly target: Container;
  /** On the default bridge; undefined while the target does not run. */
  readonly address: string | undefined;
}

/** What `--link` names, for a container of the default bridge: in networks of their own, links are names of the resolver. */
function linkedTo(context: Context, container: Container): readonly Linked[] {
  if ((container.options.networkMode ?? 'bridge') !== 'bridge') return [];
  return (container.options.links ?? []).map((link) => {
    const [name = '', alias = name] = link.split(':');
    const target = context.store.find(name);
    const endpoint = context.networks.endpointsOf(target.id).find(({ networkName }) => networkName === 'bridge');
    return { alias, target, address: endpoint?.address };
  });
}

/** Whether all that a container is linked to is there. @throws GantryError invalid, naming what is not */
export function checkLinks({ store }: Pick<Context, 'store'>, { links = [] }: ContainerOptions): void {
  for (const link of links) {
    const [name = ''] = link.split(':');
    try {
      store.find(name);
    } catch (cause) {
      if (!isGantryError(cause, 'not-found')) throw cause;
      throw new GantryError('invalid', `could not get container for ${name}: ${cause.message}`, { cause });
    }
  }
}

/** Lines of /etc/hosts: the other's address by its alias, name and id. @throws GantryError conflict where it does not run */
export function linkHosts(context: Context, container: Container): readonly string[] {
  return linkedTo(context, container).flatMap(({ alias, target, address }) => {
    if (address === undefined)
      throw new GantryError(
        'conflict',
        `Cannot link to a non running container: /${target.name} AS /${container.name}/${alias}`,
      );
    return [...new Set([alias, target.id.slice(0, 12), target.name])].map((known) => `${known}:${address}`);
  });
}

/**
 * What legacy links put into the environment (Docker's "Legacy container links"): the other's name, its exposed ports, and the
 * variables that its image or user gave it. Nothing of one that does not run.
 */
export function linkEnvironment(context: Context, container: Container): readonly string[] {
  return linkedTo(context, container).flatMap(({ alias, target, address }) => {
    if (address === undefined) return [];
    const prefix = alias.toUpperCase().replaceAll('-', '_');
    const ports = target.resolved.exposedPorts.map(parsePort).sort((a, b) => a.port - b.port);
    const [first] = ports;
    const given = target.resolved.env.filter((entry) => {
      const name = entry.slice(0, entry.indexOf('='));
      const source = target.provenance[`process.env[${name}]`];
      return name !== 'HOME' && name !== 'PATH' && (source === 'image' || source === 'user');
    });
    return [
      `${prefix}_NAME=/${container.name}/${alias}`,
      ...(first === undefined ? [] : [`${prefix}_PORT=${first.protocol}://${address}:${first.port}`]),
      ...ports.flatMap(({ port, protocol }) => {
        const name = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
        return [
          `${name}=${protocol}://${address}:${port}`,
          `${name}_ADDR=${address}`,
          `${name}_PORT=${port}`,
          `${name}_PROTO=${protocol}`,
        ];
      }),
      ...given.map((entry) => `${prefix}_ENV_${entry}`),
    ];
  });
}

function parsePort(exposed: string): { readonly port: number; readonly protocol: string } {
  const [port, protocol = 'tcp'] = exposed.split('/');
  return { port: Number(port), protocol };
}
