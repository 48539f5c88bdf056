import type { Container, ContainerSize } from '#engine/index.ts';
import type { Descriptor } from '#oci/index.ts';
import { isolationShape } from './isolation-options.ts';
import { logConfigShape } from './log-config.ts';
import { bindsShape, mountsShape } from './mount-requests.ts';
import { networkSettingsOf, networksOf, publishedOf } from './network-shapes.ts';
import { resourcesShape } from './resource-limits.ts';

const zero = '0001-01-01T00:00:00Z';

/** "Up 3 minutes", as `docker ps` shows it. */
export function statusLine(container: Container, now = Date.now()): string {
  const { state } = container;
  const ago = (from: string) => humanDuration((now - Date.parse(from)) / 1000);
  switch (state.status) {
    case 'created':
      return 'Created';
    case 'running': {
      const health = container.health?.status;
      return `Up ${ago(state.startedAt)}${health === undefined ? '' : ` (${health === 'starting' ? 'health: starting' : health})`}`;
    }
    case 'paused':
      return `Up ${ago(state.startedAt)} (Paused)`;
    case 'restarting':
      return `Restarting (${state.exitCode}) ${ago(state.finishedAt)} ago`;
    case 'exited':
      return `Exited (${state.exitCode}) ${ago(state.finishedAt)} ago`;
  }
}

function humanDuration(seconds: number): string {
  if (seconds < 1) return 'Less than a second';
  if (seconds < 2) return '1 second';
  if (seconds < 60) return `${Math.floor(seconds)} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 14) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 60) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}

const mountsOf = (container: Container) =>
  container.mounts.map((mount) => ({
    Type: mount.type,
    ...(mount.name === undefined ? {} : { Name: mount.name, Driver: 'local' }),
    Source: mount.source,
    Destination: mount.target,
    Mode: '',
    RW: !mount.readOnly,
    Propagation: mount.type === 'bind' ? (mount.propagation ?? 'rprivate') : '',
  }));

const modeOf = (container: Container) => container.options.networkMode ?? 'bridge';

/** A link as Docker shows it: `/db:/web/alias`. */
function linkShape(link: string, name: string): string {
  const [target = '', alias = target] = link.split(':');
  return `/${target}:/${name}/${alias}`;
}

export type Sizes = ContainerSize;

const sizesShape = (sizes: Sizes | undefined) =>
  sizes === undefined ? {} : { SizeRw: sizes.writable, SizeRootFs: sizes.whole };

/** One row of GET /containers/json. */
export function summaryOf(container: Container, sizes: Sizes | undefined, manifest: Descriptor | undefined) {
  const published = publishedOf(container);
  return {
    Id: container.id,
    Names: [`/${container.name}`],
    Image: container.imageName,
    ImageID: container.imageId,
    ...(manifest === undefined ? {} : { ImageManifestDescriptor: manifest }),
    Command: [container.resolved.path, ...container.resolved.args].join(' '),
    Created: Math.floor(Date.parse(container.created) / 1000),
    Ports: [
      ...published.map((p) => ({
        IP: p.hostAddress,
        PrivatePort: p.containerPort,
        PublicPort: p.hostPort,
        Type: p.protocol,
      })),
      ...container.resolved.exposedPorts
        .map((text) => ({ PrivatePort: Number(text.split('/')[0]), Type: text.split('/')[1] ?? 'tcp' }))
        .filter(
          (e) =>
            container.state.status === 'running' &&
            !published.some((p) => p.containerPort === e.PrivatePort && p.protocol === e.Type),
        ),
    ],
    Labels: container.resolved.labels,
    State: container.state.status,
    Status: statusLine(container),
    ...(container.health === undefined
      ? {}
      : { Health: { Status: container.health.status, FailingStreak: container.health.failingStreak } }),
    HostConfig: {
      NetworkMode: modeOf(container),
      ...(container.options.annotations === undefined ? {} : { Annotations: container.options.annotations }),
    },
    NetworkSettings: { Networks: networksOf(container) },
    Mounts: mountsOf(container),
    ...sizesShape(sizes),
  };
}

const appArmorProfileOf = ({ securityOptions = [] }: Container['options']): string =>
  securityOptions.findLast((option) => /^apparmor[=:]/.test(option))?.slice('apparmor='.length) ?? '';

/** GET /containers/{id}/json. */
export function inspectionOf(
  container: Container,
  storageDriver: string,
  { sizes, manifest, execs }: { sizes: Sizes | undefined; manifest: Descriptor | undefined; execs: readonly string[] },
) {
  const { options, resolved, state, health } = container;
  const mounts = mountsShape(options.mounts);
  const ended = state.status === 'exited' || state.status === 'restarting' ? state : undefined;
  const check = { ...container.imageConfig.config?.Healthcheck, ...options.healthcheck };
  return {
    Id: container.id,
    Created: container.created,
    Path: resolved.path,
    Args: resolved.args,
    State: {
      Status: state.status,
      Running: state.status === 'running' || state.status === 'paused' || state.status === 'restarting',
      Paused: state.status === 'paused',
      Restarting: state.status === 'restarting',
      OOMKilled: ended?.oomKilled ?? false,
      Dead: false,
      Pid: 'pid' in state ? state.pid : 0,
      ExitCode: ended?.exitCode ?? 0,
      Error: ended?.error ?? '',
      StartedAt: 'startedAt' in state && state.startedAt !== undefined ? state.startedAt : zero,
      FinishedAt: ended?.finishedAt ?? zero,
      ...(health === undefined
        ? {}
        : {
            Health: {
              Status: health.status,
              FailingStreak: health.failingStreak,
              Log: health.log.map((p) => ({ Start: p.start, End: p.end, ExitCode: p.exitCode, Output: p.output })),
            },
          }),
    },
    Image: container.imageId,
    ...(manifest === undefined ? {} : { ImageManifestDescriptor: manifest }),
    ResolvConfPath: '',
    HostnamePath: '',
    HostsPath: '',
    LogPath: options.logging?.driver === 'json-file' ? (container.logPath ?? '') : '',
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: storageDriver,
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: appArmorProfileOf(options),
    ExecIDs: execs.length === 0 ? null : execs,
    HostConfig: {
      Binds: bindsShape(options.mounts),
      ...(mounts === undefined ? {} : { Mounts: mounts }),
      ConsoleSize: [options.consoleSize?.rows ?? 0, options.consoleSize?.columns ?? 0],
      // Of Windows, of swarm, or not asked for.
      ...{ Cgroup: '', VolumeDriver: '', Isolation: '' },
      ...{ CpuCount: 0, CpuPercent: 0, IOMaximumIOps: 0, IOMaximumBandwidth: 0 },
      CgroupParent: options.cgroupParent ?? '',
      ContainerIDFile: '',
      LogConfig: logConfigShape(options),
      NetworkMode: modeOf(container),
      PortBindings: Object.fromEntries(
        Map.groupBy(options.ports ?? [], (p) => `${p.containerPort}/${p.protocol}`)
          .entries()
          .map(([port, all]) => [
            port,
            all.map((p) => ({ HostIp: p.hostAddress ?? '', HostPort: p.hostPort ? String(p.hostPort) : '' })),
          ]),
      ),
      RestartPolicy: {
        Name: options.restartPolicy?.name ?? 'no',
        MaximumRetryCount: options.restartPolicy?.maximumRetryCount ?? 0,
      },
      ...(options.onUnhealthy === undefined ? {} : { HealthOnUnhealthy: options.onUnhealthy }),
      AutoRemove: options.autoRemove ?? false,
      ...resourcesShape(options),
      ...isolationShape(options),
      ReadonlyRootfs: options.readOnlyRootfs ?? false,
      Runtime: options.runtime ?? 'gantry',
      Init: options.init ?? false,
      PublishAllPorts: options.publishAll ?? false,
      Tmpfs: options.tmpfs ?? null,
      ExtraHosts: options.extraHosts ?? null,
      Dns: options.dns ?? [],
      DnsSearch: options.dnsSearch ?? [],
      DnsOptions: options.dnsOptions ?? [],
      Links: options.links?.map((link) => linkShape(link, container.name)) ?? null,
      VolumesFrom: options.volumesFrom ?? null,
    },
    GraphDriver: { Name: storageDriver, Data: {} },
    ...sizesShape(sizes),
    Mounts: mountsOf(container),
    Config: {
      Hostname: resolved.hostname,
      Domainname: options.domainname ?? '',
      User: resolved.user,
      AttachStdin: options.openStdin ?? false,
      AttachStdout: true,
      AttachStderr: true,
      ExposedPorts: Object.fromEntries(resolved.exposedPorts.map((port) => [port, {}])),
      Tty: options.terminal ?? false,
      OpenStdin: options.openStdin ?? false,
      StdinOnce: options.stdinOnce ?? false,
      Env: resolved.env,
      Cmd: resolved.command,
      Image: container.imageName,
      Volumes: resolved.volumes.length === 0 ? null : Object.fromEntries(resolved.volumes.map((v) => [v, {}])),
      WorkingDir: resolved.workingDir,
      Entrypoint: resolved.entrypoint.length === 0 ? null : resolved.entrypoint,
      OnBuild: options.onBuild ?? null,
      Labels: resolved.labels,
      ...(options.networkDisabled ? { NetworkDisabled: true } : {}),
      ...(options.shell === undefined ? {} : { Shell: options.shell }),
      StopSignal: resolved.stopSignal,
      ...(options.stopTimeoutSeconds === undefined ? {} : { StopTimeout: options.stopTimeoutSeconds }),
      ...(check.Test === undefined ? {} : { Healthcheck: check }),
    },
    NetworkSettings: networkSettingsOf(container),
    Gantry: { Provenance: container.provenance },
  };
}
