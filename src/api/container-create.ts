import type { ContainerOptions, MountRequest, NetworkRequest, RestartPolicy, UnhealthyAction } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';
import type { PortProtocol, PortRequest } from '#network/index.ts';
import { checkCreate } from './create-checks.ts';
import { refuseForeignFields } from './foreign-fields.ts';
import { isolationOptionsOf } from './isolation-options.ts';
import { logOptionsOf } from './log-config.ts';
import { bindOf, mountOf, tmpfsOf } from './mount-requests.ts';
import { networkRequestOf } from './network-shapes.ts';
import { builtConfig, builtHostConfig, refuseFields } from './refuse-fields.ts';
import { resourceOptionsOf } from './resource-limits.ts';
import type { createBody } from './schema/container.ts';
import type { ShapeOf } from './schema/schema.ts';

export type CreateBody = ShapeOf<typeof createBody>;
type HostConfig = NonNullable<CreateBody['HostConfig']>;

/** Parses `8080/tcp`. @throws GantryError invalid */
export function portOf(text: string): { containerPort: number; protocol: PortProtocol } {
  const [number = '', protocol = 'tcp'] = text.split('/');
  const containerPort = Number(number);
  if (!Number.isInteger(containerPort) || containerPort < 1 || containerPort > 65535)
    throw new GantryError('invalid', `invalid port "${text}"; expected 1-65535 with /tcp, /udp or /sctp`);
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')
    throw new GantryError('invalid', `publishing "${text}": the protocol must be tcp, udp or sctp`);
  return { containerPort, protocol };
}

export function portsOf(bindings: NonNullable<HostConfig['PortBindings']>): PortRequest[] {
  return Object.entries(bindings).flatMap(([port, hosts]) =>
    (hosts === null || hosts.length === 0 ? [{}] : hosts).map((binding) => {
      const [, first = '0', last = first] = /^(?:(\d+)(?:-(\d+))?)?$/.exec(binding.HostPort ?? '') ?? ['', 'x'];
      const [hostPort, lastHostPort] = [Number(first), Number(last)];
      if (!Number.isInteger(hostPort) || hostPort > 65535 || lastHostPort > 65535 || lastHostPort < hostPort)
        throw new GantryError('invalid', `invalid host port "${binding.HostPort}" for ${port}`);
      return {
        ...portOf(port),
        hostAddress: binding.HostIp ?? '',
        hostPort,
        ...(lastHostPort > hostPort ? { lastHostPort } : {}),
      };
    }),
  );
}

/** What is understood and not built: refused, never ignored. */
function refuse(body: CreateBody, host: HostConfig): void {
  refuseFields('', body, builtConfig);
  refuseForeignFields(host);
  refuseFields('HostConfig.', host, builtHostConfig);
  checkCreate(body);
}

/** @throws GantryError invalid, naming the policy */
export function restartPolicyOf({
  RestartPolicy: asked,
  AutoRemove,
}: Pick<HostConfig, 'RestartPolicy' | 'AutoRemove'>): RestartPolicy | undefined {
  const name = asked?.Name ?? '';
  const maximumRetryCount = asked?.MaximumRetryCount ?? 0;
  switch (name) {
    case '':
    case 'no':
      return undefined;
    case 'always':
    case 'unless-stopped':
    case 'on-failure':
      if (AutoRemove) throw new GantryError('invalid', `can't create 'AutoRemove' container with restart policy`);
      if (maximumRetryCount < 0 || (maximumRetryCount > 0 && name !== 'on-failure'))
        throw new GantryError('invalid', `maximum retry count ${maximumRetryCount} cannot be used with "${name}"`);
      return { name, maximumRetryCount };
    default:
      throw new GantryError(
        'invalid',
        `invalid restart policy "${name}"; expected no, always, unless-stopped or on-failure`,
      );
  }
}

/** `HostConfig.HealthOnUnhealthy`, which Docker does not have. @throws GantryError invalid */
export function unhealthyActionOf(asked: string | undefined): { onUnhealthy?: UnhealthyAction } {
  if (asked === undefined || asked === '') return {};
  if (asked !== 'none' && asked !== 'restart' && asked !== 'stop')
    throw new GantryError(
      'invalid',
      `invalid action for an unhealthy container: "${asked}"; expected restart, stop or none`,
    );
  return { onUnhealthy: asked };
}

const filled = (given: readonly string[] | null | undefined): readonly string[] | undefined =>
  given?.length ? given : undefined;

/** What is asked of each network. The client names the default one `default`. */
function networkRequestsOf({ NetworkingConfig }: CreateBody): Record<string, NetworkRequest> | undefined {
  const entries = Object.entries(NetworkingConfig?.EndpointsConfig ?? {});
  if (entries.length === 0) return undefined;
  return Object.fromEntries(
    entries.map(([name, body]) => [name === 'default' ? 'bridge' : name, networkRequestOf(body)]),
  );
}

const networkModeOf = ({ NetworkDisabled, HostConfig }: CreateBody): string | undefined =>
  NetworkDisabled ? 'none' : HostConfig?.NetworkMode === 'default' ? 'bridge' : HostConfig?.NetworkMode;

const list = (value: readonly string[] | string | null | undefined): readonly string[] | undefined =>
  value === null || value === undefined ? undefined : typeof value === 'string' ? [value] : value;

/** Docker's create body → the engine's domain request. Absent, null and zero mean: not asked. */
export function containerOptionsOf(body: CreateBody, name: string | undefined): ContainerOptions {
  const host = body.HostConfig ?? {};
  refuse(body, host);
  if (!body.Image) throw new GantryError('invalid', 'no image given; set "Image"');
  const mounts: MountRequest[] = [
    ...(host.Binds ?? []).map(bindOf),
    ...(host.Mounts ?? []).filter(({ Type }) => Type !== 'tmpfs').map(mountOf),
  ];
  const entrypoint = list(body.Entrypoint);
  const command = list(body.Cmd);
  const some = <K extends string, V>(key: K, value: V | null | undefined | '' | 0 | false): { [P in K]?: V } =>
    value ? ({ [key]: value } as { [P in K]?: V }) : {};
  return {
    image: body.Image,
    mounts,
    ...some('anonymousVolumes', filled(Object.keys(body.Volumes ?? {}))),
    ...some('name', name?.replace(/^\//, '')),
    ...(command === undefined ? {} : { command }),
    // Docker's client sends [""] to clear the entrypoint.
    ...(entrypoint === undefined ? {} : { entrypoint: entrypoint.filter((part) => part !== '') }),
    ...some('env', body.Env),
    ...some('workingDir', body.WorkingDir),
    ...some('user', body.User),
    ...some('hostname', body.Hostname),
    ...some('domainname', body.Domainname),
    ...some('labels', body.Labels),
    ...some('terminal', body.Tty),
    ...some('openStdin', body.OpenStdin),
    ...some('stdinOnce', body.StdinOnce),
    ...some('autoRemove', host.AutoRemove),
    ...some('readOnlyRootfs', host.ReadonlyRootfs),
    ...some('init', host.Init),
    ...some('networkMode', networkModeOf(body)),
    ...some('networkDisabled', body.NetworkDisabled),
    ...some('cgroupParent', host.CgroupParent),
    ...some('shell', filled(body.Shell)),
    ...some('onBuild', filled(body.OnBuild)),
    ...some('ports', host.PortBindings ? portsOf(host.PortBindings) : undefined),
    ...some('exposedPorts', body.ExposedPorts ? Object.keys(body.ExposedPorts) : undefined),
    ...some('publishAll', host.PublishAllPorts),
    ...some('tmpfs', tmpfsOf(host.Tmpfs, host.Mounts)),
    ...resourceOptionsOf(host),
    ...isolationOptionsOf(host),
    ...some('extraHosts', host.ExtraHosts),
    ...some('dns', filled(host.Dns)),
    ...some('dnsSearch', filled(host.DnsSearch)),
    ...some('dnsOptions', filled(host.DnsOptions)),
    ...some('links', filled(host.Links)),
    ...some('volumesFrom', filled(host.VolumesFrom)),
    ...some('macAddress', body.MacAddress),
    ...some('networks', networkRequestsOf(body)),
    ...some('runtime', host.Runtime),
    ...some('stopSignal', body.StopSignal),
    ...(body.StopTimeout === undefined ? {} : { stopTimeoutSeconds: body.StopTimeout }),
    ...some('healthcheck', body.Healthcheck),
    ...unhealthyActionOf(host.HealthOnUnhealthy),
    ...some('restartPolicy', restartPolicyOf(host)),
    ...some(
      'consoleSize',
      host.ConsoleSize?.[0] ? { rows: host.ConsoleSize[0], columns: host.ConsoleSize[1] ?? 80 } : undefined,
    ),
    ...logOptionsOf(host.LogConfig),
  };
}
