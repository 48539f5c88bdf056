import type { containerOptions } from './container-options.ts';
import { environmentOf, readPairsFile } from './env-file.ts';
import { Failure } from './failure.ts';
import { isolationBody } from './isolation-options.ts';
import { parseVolumes } from './mount-spec.ts';
import { type EndpointBody, endpointBody } from './network-spec.ts';
import type { ParsedOptions } from './options.ts';
import { pairs } from './pairs.ts';
import { parsePorts } from './port-spec.ts';
import { deviceLimitsBody, resourcesBody } from './resource-options.ts';
import { restartPolicyOf } from './restart-policy.ts';

export type ContainerFlags = ParsedOptions<typeof containerOptions>;

/** Which of a process's streams the command is joined with. */
export interface Streams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** `-a` flags, or where there are none: output, and input with `-i`. */
export function attachedStreams({ values }: Pick<ContainerFlags, 'values'>): Streams {
  const asked = values.attach;
  if (asked.length === 0) return { stdin: values.interactive, stdout: true, stderr: true };
  return {
    stdin: asked.includes('stdin'),
    stdout: asked.includes('stdout'),
    stderr: asked.includes('stderr'),
  };
}

/** The body of POST /containers/create. @throws Failure and GantryError for flags that cannot be read */
export function containerBody(
  flags: ContainerFlags,
  image: string,
  command: readonly string[],
  streams: Streams,
  proxies: Readonly<Record<string, string>> = {},
) {
  const { values, given } = flags;
  const orNull = <T>(entries: readonly T[]): readonly T[] | null => (entries.length === 0 ? null : entries);
  const { binds, volumes } = parseVolumes(values.volume);
  const { exposed, bindings } = parsePorts(values.publish, values.expose);
  const networks = [...values.network, ...values.net];
  const own = ownEndpoint(flags);
  const endpoints = (networks.length === 0 ? [{ name: 'default', endpoint: {} }] : networks).map(
    ({ name, endpoint }, index) => [name, index === 0 ? { ...endpoint, ...own } : endpoint] as const,
  );
  return {
    Hostname: values.hostname,
    Domainname: values.domainname,
    User: values.user,
    AttachStdin: streams.stdin,
    AttachStdout: streams.stdout,
    AttachStderr: streams.stderr,
    Tty: values.tty,
    OpenStdin: values.interactive,
    StdinOnce: values.interactive && streams.stdin,
    Env: withDefaults(environmentOf(values['env-file'], values.env, process.env), proxies),
    Cmd: orNull(command),
    Image: image,
    WorkingDir: values.workdir,
    Entrypoint: given.has('entrypoint') ? [values.entrypoint] : null,
    Labels: labelsOf(values),
    ExposedPorts: exposed,
    Volumes: volumes,
    ...(values['stop-signal'] === '' ? {} : { StopSignal: values['stop-signal'] }),
    ...(values['stop-timeout'] === undefined ? {} : { StopTimeout: values['stop-timeout'] }),
    ...healthcheckOf(flags),
    ...(networks.length === 0 && Object.keys(own).length === 0
      ? {}
      : { NetworkingConfig: { EndpointsConfig: Object.fromEntries(endpoints) } }),
    HostConfig: {
      Binds: orNull(binds),
      NetworkMode: networks[0]?.name ?? 'default',
      PortBindings: bindings,
      AutoRemove: values.rm,
      PublishAllPorts: values['publish-all'],
      ReadonlyRootfs: values['read-only'],
      ...(given.has('init') ? { Init: values.init } : {}),
      ...resourcesBody(flags),
      ...deviceLimitsBody(flags),
      ...isolationBody(flags),
      ExtraHosts: orNull(values['add-host']),
      Dns: orNull(values.dns),
      DnsSearch: orNull(values['dns-search']),
      DnsOptions: orNull(values['dns-option']),
      ...(values.runtime === '' ? {} : { Runtime: values.runtime }),
      Tmpfs: Object.fromEntries(
        values.tmpfs.map((spec) => {
          const at = spec.indexOf(':');
          return at < 0 ? [spec, ''] : [spec.slice(0, at), spec.slice(at + 1)];
        }),
      ),
      LogConfig: { Type: values['log-driver'], Config: pairs(values['log-opt']) },
      Mounts: orNull(values.mount),
      ...(values['health-on-unhealthy'] === undefined ? {} : { HealthOnUnhealthy: values['health-on-unhealthy'] }),
      RestartPolicy: restartPolicy(values.restart, values.rm),
      CgroupParent: values['cgroup-parent'],
      ...(values['storage-opt'].length === 0 ? {} : { StorageOpt: pairs(values['storage-opt']) }),
      VolumesFrom: orNull(values['volumes-from']),
      Links: orNull(values.link),
      ...(values.tty && process.stdout.isTTY ? { ConsoleSize: [process.stdout.rows, process.stdout.columns] } : {}),
    },
  };
}

/** Variables and, where they are not among them, the defaults. */
const withDefaults = (variables: readonly string[], defaults: Readonly<Record<string, string>>): readonly string[] => [
  ...variables,
  ...Object.entries(defaults)
    .filter(([name]) => !variables.some((variable) => variable.startsWith(`${name}=`)))
    .map(([name, value]) => `${name}=${value}`),
];

/** What `--ip`, `--network-alias` and the like ask of the first network. */
function ownEndpoint({ values }: ContainerFlags): EndpointBody {
  return endpointBody({
    ip: values.ip,
    ip6: values.ip6,
    alias: values['network-alias'],
    links: [],
    linkLocal: values['link-local-ip'],
    mac: values['mac-address'],
  });
}

const labelsOf = (values: ContainerFlags['values']) =>
  pairs([...values['label-file'].flatMap((path) => readPairsFile(path)), ...values.label]);

function healthcheckOf({ values, given }: ContainerFlags) {
  const asked = [...given].filter((name) => name.startsWith('health-') && name !== 'health-on-unhealthy');
  if (values['no-healthcheck']) {
    if (asked.length > 0) throw new Failure('--no-healthcheck conflicts with --health-* options', 125);
    return { Healthcheck: { Test: ['NONE'] } };
  }
  if (asked.length === 0) return {};
  return {
    Healthcheck: {
      ...(values['health-cmd'] === '' ? {} : { Test: ['CMD-SHELL', values['health-cmd']] }),
      Interval: values['health-interval'] ?? 0,
      Timeout: values['health-timeout'] ?? 0,
      StartPeriod: values['health-start-period'] ?? 0,
      StartInterval: values['health-start-interval'] ?? 0,
      Retries: values['health-retries'] ?? 0,
    },
  };
}

function restartPolicy(text: string, autoRemove: boolean) {
  const policy = restartPolicyOf(text);
  if (autoRemove && policy.Name !== 'no' && policy.Name !== '')
    throw new Failure('conflicting options: cannot specify both --restart and --rm', 125);
  return policy;
}
