import { GantryError } from '#errors/index.ts';

/** Whether a field asks for anything: Docker's clients send all of them, most of them empty. */
function isGiven(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((entry) => entry !== 0); // [0, 0] is no console size
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value) && value !== -1;
}

/**
 * Nothing that is asked for is passed over in silence: a field that is not among those `built` is refused by its name.
 * @throws GantryError unsupported
 */
export function refuseFields(about: string, body: object, built: ReadonlySet<string>): void {
  for (const [name, value] of Object.entries(body))
    if (!built.has(name) && isGiven(value))
      throw new GantryError('unsupported', `${about}${name} (${JSON.stringify(value)}): not supported yet`);
}

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Of the body of a create (Engine API: ContainerConfig). What an attach asks for is asked again when it comes. Dockerode says
 * the query's parameters here too; `ArgsEscaped` is about command lines of Windows, and says nothing of a list of words. */
export const builtConfig = words(`
  Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd Entrypoint Image WorkingDir
  Labels ExposedPorts Volumes StopSignal StopTimeout Healthcheck NetworkDisabled OnBuild Shell ArgsEscaped HostConfig NetworkingConfig MacAddress name platform`);

/** Of limits, which an update may change too (Engine API: Resources). */
const updatable = `
  Memory MemorySwap MemoryReservation NanoCpus CpuShares CpuQuota CpuPeriod CpuRealtimePeriod CpuRealtimeRuntime
  CpusetCpus CpusetMems PidsLimit BlkioWeight BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps
  BlkioDeviceReadIOps BlkioDeviceWriteIOps`;

/** Of the body of an update. */
export const builtUpdate = words(
  `${updatable} MemorySwappiness RestartPolicy HealthOnUnhealthy PublishAdd PublishRemove`,
);

/** Of HostConfig. `ContainerIDFile` says where the client keeps the id; nothing follows from it. The last four are looked at by refuseForeignFields. */
export const builtHostConfig = words(`${updatable}
  MemorySwappiness OomKillDisable Devices DeviceCgroupRules DeviceRequests Init Ulimits
  Binds CgroupParent ContainerIDFile LogConfig NetworkMode PortBindings HealthOnUnhealthy RestartPolicy AutoRemove Mounts ConsoleSize Annotations CapAdd
  CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode Links OomScoreAdj PidMode Privileged
  PublishAllPorts ReadonlyRootfs SecurityOpt Tmpfs UTSMode UsernsMode ShmSize Sysctls Runtime VolumesFrom
  MaskedPaths ReadonlyPaths Umask Isolation VolumeDriver StorageOpt KernelMemoryTCP`);
