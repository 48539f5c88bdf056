import type { ContainerOptions, MountRequest, NetworkRequest, RestartPolicy } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';
import type { PortProtocol, PortRequest } from '#network/index.ts';
import type { Healthcheck } from '#oci/index.ts';
import { bindOf, type MountBody, mountOf, tmpfsOf } from './mount-requests.ts';
import { type EndpointBody, networkRequestOf } from './network-shapes.ts';

/** The body of POST /containers/create, as far as Gantry reads it. */
export interface CreateBody {
  Hostname?: string;
  Domainname?: string;
  User?: string;
  AttachStdin?: boolean;
  Tty?: boolean;
  OpenStdin?: boolean;
  StdinOnce?: boolean;
  Env?: string[] | null;
  Cmd?: string[] | string | null;
  Entrypoint?: string[] | string | null;
  Image?: string;
  WorkingDir?: string;
  Labels?: Record<string, string> | null;
  ExposedPorts?: Record<string, object> | null;
  Volumes?: Record<string, object> | null;
  StopSignal?: string;
  StopTimeout?: number | null;
  Healthcheck?: Healthcheck | null;
  MacAddress?: string;
  HostConfig?: HostConfig | null;
  NetworkingConfig?: { EndpointsConfig?: Record<string, EndpointBody | null> | null } | null;
}

interface HostConfig {
  Binds?: string[] | null;
  NetworkMode?: string;
  PortBindings?: Record<string, { HostIp?: string; HostPort?: string }[] | null> | null;
  AutoRemove?: boolean;
  PublishAllPorts?: boolean;
  ReadonlyRootfs?: boolean;
  Init?: boolean | null;
  Memory?: number;
  MemorySwap?: number;
  MemoryReservation?: number;
  NanoCpus?: number;
  CpuShares?: number;
  CpuQuota?: number;
  CpuPeriod?: number;
  CpusetCpus?: string;
  PidsLimit?: number | null;
  CapAdd?: string[] | null;
  CapDrop?: string[] | null;
  Privileged?: boolean;
  SecurityOpt?: string[] | null;
  Ulimits?: { Name: string; Soft: number; Hard: number }[] | null;
  ShmSize?: number;
  Sysctls?: Record<string, string> | null;
  ExtraHosts?: string[] | null;
  Dns?: string[] | null;
  DnsSearch?: string[] | null;
  DnsOptions?: string[] | null;
  GroupAdd?: string[] | null;
  Runtime?: string;
  OomScoreAdj?: number;
  Tmpfs?: Record<string, string> | null;
  LogConfig?: { Type?: string; Config?: Record<string, string> | null };
  Mounts?: readonly MountBody[] | null;
  RestartPolicy?: { Name?: string; MaximumRetryCount?: number };
  ConsoleSize?: [number, number] | null;
  Devices?: unknown[] | null;
  VolumesFrom?: string[] | null;
  Links?: string[] | null;
  PidMode?: string;
  IpcMode?: string;
  UTSMode?: string;
  UsernsMode?: string;
  CgroupnsMode?: string;
}

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

function portsOf(bindings: NonNullable<HostConfig['PortBindings']>): PortRequest[] {
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

/** Settings of Docker's that would change a container and are not built. */
const notBuilt = [
  'BlkioDeviceReadBps',
  'BlkioDeviceReadIOps',
  'BlkioDeviceWriteBps',
  'BlkioDeviceWriteIOps',
  'BlkioWeight',
  'BlkioWeightDevice',
  'CgroupParent',
  'CpuRealtimePeriod',
  'CpuRealtimeRuntime',
  'CpusetMems',
  'DeviceCgroupRules',
  'DeviceRequests',
  'KernelMemory',
  'MemorySwappiness',
  'OomKillDisable',
  'StorageOpt',
  'VolumeDriver',
] as const;

/** What is understood and not built: refused, never ignored. */
function refuse(host: HostConfig): void {
  const unsupported: readonly (readonly [string, boolean])[] = [
    ['devices', (host.Devices?.length ?? 0) > 0],
    [`pid mode "${host.PidMode}"`, (host.PidMode ?? '') !== ''],
    [`ipc mode "${host.IpcMode}"`, !['', 'private', 'shareable'].includes(host.IpcMode ?? '')],
    [`uts mode "${host.UTSMode}"`, (host.UTSMode ?? '') !== ''],
    [`user namespace mode "${host.UsernsMode}"`, !['', 'host'].includes(host.UsernsMode ?? '')],
    [`cgroup namespace mode "${host.CgroupnsMode}"`, !['', 'private'].includes(host.CgroupnsMode ?? '')],
    [`log driver "${host.LogConfig?.Type}"`, !['', 'json-file', 'none'].includes(host.LogConfig?.Type ?? '')],
  ];
  for (const name of notBuilt) {
    const value = (host as Readonly<Record<string, unknown>>)[name];
    const asked = Array.isArray(value) ? value.length > 0 : Boolean(value) && value !== -1;
    if (asked) throw new GantryError('unsupported', `HostConfig.${name} (${JSON.stringify(value)}): not supported yet`);
  }
  for (const [what, asked] of unsupported)
    if (asked) throw new GantryError('unsupported', `${what}: not supported yet`);
}

function restartPolicyOf({ RestartPolicy: asked, AutoRemove }: HostConfig): RestartPolicy | undefined {
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

const filled = (given: string[] | null | undefined): string[] | undefined => (given?.length ? given : undefined);

/** What is asked of each network. The client names the default one `default`. */
function networkRequestsOf({ NetworkingConfig }: CreateBody): Record<string, NetworkRequest> | undefined {
  const entries = Object.entries(NetworkingConfig?.EndpointsConfig ?? {});
  if (entries.length === 0) return undefined;
  return Object.fromEntries(
    entries.map(([name, body]) => [name === 'default' ? 'bridge' : name, networkRequestOf(body)]),
  );
}

const list = (value: string[] | string | null | undefined): readonly string[] | undefined =>
  value === null || value === undefined ? undefined : typeof value === 'string' ? [value] : value;

/** Docker's create body → the engine's domain request. Absent, null and zero mean: not asked. */
export function containerOptionsOf(body: CreateBody, name: string | undefined): ContainerOptions {
  const host = body.HostConfig ?? {};
  refuse(host);
  if (!body.Image) throw new GantryError('invalid', 'no image given; set "Image"');
  const mounts: MountRequest[] = [
    ...(host.Binds ?? []).map(bindOf),
    ...Object.keys(body.Volumes ?? {}).map((target): MountRequest => ({ type: 'volume', target })),
    ...(host.Mounts ?? []).filter(({ Type }) => Type !== 'tmpfs').map(mountOf),
  ];
  const entrypoint = list(body.Entrypoint);
  const command = list(body.Cmd);
  const some = <K extends string, V>(key: K, value: V | null | undefined | '' | 0 | false): { [P in K]?: V } =>
    value ? ({ [key]: value } as { [P in K]?: V }) : {};
  return {
    image: body.Image,
    mounts,
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
    ...some('networkMode', host.NetworkMode === 'default' ? 'bridge' : host.NetworkMode),
    ...some('ports', host.PortBindings ? portsOf(host.PortBindings) : undefined),
    ...some('exposedPorts', body.ExposedPorts ? Object.keys(body.ExposedPorts) : undefined),
    ...some('publishAll', host.PublishAllPorts),
    ...some('tmpfs', tmpfsOf(host.Tmpfs, host.Mounts)),
    ...some('memoryBytes', host.Memory),
    ...some('memorySwapBytes', host.MemorySwap),
    ...some('memoryReservationBytes', host.MemoryReservation),
    ...some('nanoCpus', host.NanoCpus),
    ...some('cpuShares', host.CpuShares),
    ...some('cpuQuota', host.CpuQuota),
    ...some('cpuPeriod', host.CpuPeriod),
    ...some('cpusetCpus', host.CpusetCpus),
    ...some('pidsLimit', host.PidsLimit),
    ...some('capAdd', host.CapAdd),
    ...some('capDrop', host.CapDrop),
    ...some('privileged', host.Privileged),
    ...some('securityOptions', host.SecurityOpt),
    ...some(
      'ulimits',
      host.Ulimits?.map((u) => ({ name: u.Name, soft: u.Soft, hard: u.Hard })),
    ),
    ...some('shmSizeBytes', host.ShmSize),
    ...some('sysctls', host.Sysctls),
    ...some('extraHosts', host.ExtraHosts),
    ...some('dns', filled(host.Dns)),
    ...some('dnsSearch', filled(host.DnsSearch)),
    ...some('dnsOptions', filled(host.DnsOptions)),
    ...some('links', filled(host.Links)),
    ...some('volumesFrom', filled(host.VolumesFrom)),
    ...some('macAddress', body.MacAddress),
    ...some('networks', networkRequestsOf(body)),
    ...some('groupAdd', host.GroupAdd),
    ...some('runtime', host.Runtime),
    ...some('oomScoreAdj', host.OomScoreAdj),
    ...some('stopSignal', body.StopSignal),
    ...(body.StopTimeout === null || body.StopTimeout === undefined ? {} : { stopTimeoutSeconds: body.StopTimeout }),
    ...some('healthcheck', body.Healthcheck),
    ...some('restartPolicy', restartPolicyOf(host)),
    ...some(
      'consoleSize',
      host.ConsoleSize && host.ConsoleSize[0] > 0 && { rows: host.ConsoleSize[0], columns: host.ConsoleSize[1] },
    ),
    ...(host.LogConfig?.Type === 'none' ? { logDriver: 'none' as const } : {}),
  };
}
