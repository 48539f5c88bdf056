import { binarySize } from './units.ts';

/** GET /info, as far as it is printed. */
export interface SystemInfo {
  readonly ID: string;
  readonly Containers: number;
  readonly ContainersRunning: number;
  readonly ContainersPaused: number;
  readonly ContainersStopped: number;
  readonly Images: number;
  readonly ServerVersion: string;
  readonly Driver: string;
  readonly DriverStatus?: readonly (readonly [string, string])[] | null;
  readonly LoggingDriver: string;
  readonly CgroupDriver: string;
  readonly CgroupVersion?: string;
  readonly Plugins: {
    readonly Volume?: readonly string[] | null;
    readonly Network?: readonly string[] | null;
    readonly Log?: readonly string[] | null;
  };
  readonly Swarm?: { readonly LocalNodeState?: string };
  readonly Runtimes?: Readonly<Record<string, unknown>>;
  readonly DefaultRuntime: string;
  readonly InitBinary: string;
  readonly SecurityOptions?: readonly string[] | null;
  readonly KernelVersion: string;
  readonly OperatingSystem: string;
  readonly OSType: string;
  readonly Architecture: string;
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly Name: string;
  readonly DockerRootDir: string;
  readonly Debug: boolean;
  readonly ExperimentalBuild: boolean;
  readonly RegistryConfig?: {
    readonly InsecureRegistryCIDRs?: readonly string[] | null;
    readonly Mirrors?: readonly string[] | null;
  } | null;
  readonly LiveRestoreEnabled: boolean;
  readonly Warnings?: readonly string[] | null;
}

/** The server's part of `info`. */
export function infoText(info: SystemInfo): string {
  const plugins = (kind: string, names: readonly string[] | null | undefined) =>
    `  ${kind}: ${(names ?? []).join(' ')}`;
  const lines = [
    ` Containers: ${info.Containers}`,
    `  Running: ${info.ContainersRunning}`,
    `  Paused: ${info.ContainersPaused}`,
    `  Stopped: ${info.ContainersStopped}`,
    ` Images: ${info.Images}`,
    ` Server Version: ${info.ServerVersion}`,
    ` Storage Driver: ${info.Driver}`,
    ...(info.DriverStatus ?? []).map(([name, value]) => `  ${name}: ${value}`),
    ` Logging Driver: ${info.LoggingDriver}`,
    ` Cgroup Driver: ${info.CgroupDriver}`,
    ...(info.CgroupVersion ? [` Cgroup Version: ${info.CgroupVersion}`] : []),
    ' Plugins:',
    plugins('Volume', info.Plugins.Volume),
    plugins('Network', info.Plugins.Network),
    plugins('Log', info.Plugins.Log),
    ` Swarm: ${info.Swarm?.LocalNodeState ?? 'inactive'}`,
    ` Runtimes: ${Object.keys(info.Runtimes ?? {})
      .toSorted()
      .join(' ')}`,
    ` Default Runtime: ${info.DefaultRuntime}`,
    ` Init Binary: ${info.InitBinary}`,
    ...securityLines(info.SecurityOptions ?? []),
    ` Kernel Version: ${info.KernelVersion}`,
    ` Operating System: ${info.OperatingSystem}`,
    ` OSType: ${info.OSType}`,
    ` Architecture: ${info.Architecture}`,
    ` CPUs: ${info.NCPU}`,
    ` Total Memory: ${binarySize(info.MemTotal)}`,
    ` Name: ${info.Name}`,
    ` ID: ${info.ID}`,
    ` Docker Root Dir: ${info.DockerRootDir}`,
    ` Debug Mode: ${info.Debug}`,
    ` Experimental: ${info.ExperimentalBuild}`,
    ...listLines('Insecure Registries', info.RegistryConfig?.InsecureRegistryCIDRs),
    ...listLines('Registry Mirrors', info.RegistryConfig?.Mirrors),
    ` Live Restore Enabled: ${info.LiveRestoreEnabled}`,
  ];
  return `${lines.join('\n')}\n\n`;
}

const listLines = (title: string, entries: readonly string[] | null | undefined) =>
  entries === null || entries === undefined || entries.length === 0
    ? []
    : [` ${title}:`, ...entries.map((entry) => `  ${entry}`)];

/** `name=seccomp,profile=builtin` is shown as a name and its further settings below it. */
function securityLines(options: readonly string[]): readonly string[] {
  if (options.length === 0) return [];
  return [
    ' Security Options:',
    ...options.flatMap((option) => {
      const fields = option.split(',').map((field) => field.split('='));
      const name = fields.find(([key]) => key === 'name')?.[1] ?? option;
      const settings = fields.filter(([key]) => key !== 'name');
      return [
        `  ${name}`,
        ...settings.map(([key = '', value]) => `   ${key[0]?.toUpperCase()}${key.slice(1)}: ${value}`),
      ];
    }),
  ];
}
