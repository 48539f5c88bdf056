import type { ContainerOptions, NamespaceModes } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';
import { asked } from './resource-limits.ts';
import type { hostConfig } from './schema/container.ts';
import type { ShapeOf } from './schema/schema.ts';

/** What HostConfig says of how a container is kept apart from the host, and what of the host it gets. */
export type IsolationBody = ShapeOf<typeof hostConfig>;

function devicesOf(devices: IsolationBody['Devices']): ContainerOptions['devices'] {
  return devices?.map(({ PathOnHost: hostPath = '', PathInContainer, CgroupPermissions = 'rwm' }) => {
    const containerPath = PathInContainer || hostPath;
    if (!hostPath.startsWith('/') || !containerPath.startsWith('/'))
      throw new GantryError('invalid', `invalid device "${hostPath}:${containerPath}": paths must be absolute`);
    if (!/^[rwm]{1,3}$/.test(CgroupPermissions))
      throw new GantryError('invalid', `bad mode specified: ${CgroupPermissions}; expected a mix of r, w and m`);
    return { hostPath, containerPath, permissions: CgroupPermissions };
  });
}

/** GPUs and other devices by what they can (`--gpus`) need a vendor's driver. @throws GantryError unsupported, in Docker's words */
function refuseDeviceRequests(requests: IsolationBody['DeviceRequests']): void {
  const [first] = requests ?? [];
  if (first === undefined) return;
  const capabilities = (first.Capabilities ?? []).map((all) => `[${all.join(' ')}]`).join(' ');
  throw new GantryError(
    'unsupported',
    `could not select device driver "${first.Driver ?? ''}" with capabilities: [${capabilities}]: Gantry has no device drivers; give the nodes themselves with --device`,
  );
}

const modesOf = (body: IsolationBody): NamespaceModes =>
  asked<NamespaceModes>({
    pidMode: body.PidMode,
    ipcMode: body.IpcMode,
    utsMode: body.UTSMode,
    cgroupMode: body.CgroupnsMode,
    userMode: body.UsernsMode,
  });

/** @throws GantryError invalid | unsupported, naming the value */
export function isolationOptionsOf(body: IsolationBody): Partial<ContainerOptions> {
  refuseDeviceRequests(body.DeviceRequests);
  // An empty list of paths hides nothing, which is not the same as not asking.
  const { MaskedPaths: maskedPaths, ReadonlyPaths: readonlyPaths, OomScoreAdj: oomScoreAdj = 0 } = body;
  if (oomScoreAdj < -1000 || oomScoreAdj > 1000)
    throw new GantryError('invalid', `Invalid value ${oomScoreAdj}, range for oom score adj is [-1000, 1000]`);
  if ((body.ShmSize ?? 0) < 0) throw new GantryError('invalid', `SHM size ${body.ShmSize} can not be less than 0`);
  return {
    ...modesOf(body),
    ...asked<ContainerOptions>({
      image: undefined,
      capAdd: body.CapAdd,
      capDrop: body.CapDrop,
      privileged: body.Privileged,
      securityOptions: body.SecurityOpt,
      devices: devicesOf(body.Devices),
      deviceCgroupRules: body.DeviceCgroupRules,
      ulimits: body.Ulimits?.map(({ Name = '', Soft = 0, Hard = 0 }) => ({ name: Name, soft: Soft, hard: Hard })),
      sysctls: body.Sysctls,
      shmSizeBytes: body.ShmSize,
      oomScoreAdj,
      groupAdd: body.GroupAdd,
      annotations: body.Annotations,
    }),
    ...umaskOf(body.Umask),
    ...(maskedPaths ? { maskedPaths } : {}),
    ...(readonlyPaths ? { readonlyPaths } : {}),
  };
}

/** @throws GantryError invalid */
function umaskOf(text: string | undefined): Pick<ContainerOptions, 'umask'> {
  if (text === undefined || text === '') return {};
  if (!/^0?[0-7]{1,3}$/.test(text))
    throw new GantryError('invalid', `invalid umask "${text}"; expected an octal number up to 0777`);
  return { umask: Number.parseInt(text, 8) };
}

/** The same as inspect shows it; paths that are hidden by default are the engine's to say. */
export const isolationShape = (options: ContainerOptions) => ({
  CapAdd: options.capAdd ?? null,
  CapDrop: options.capDrop ?? null,
  Privileged: options.privileged ?? false,
  SecurityOpt: options.securityOptions ?? null,
  ...(options.maskedPaths === undefined ? {} : { MaskedPaths: options.maskedPaths }),
  ...(options.readonlyPaths === undefined ? {} : { ReadonlyPaths: options.readonlyPaths }),
  Devices:
    options.devices?.map(({ hostPath, containerPath, permissions }) => ({
      PathOnHost: hostPath,
      PathInContainer: containerPath,
      CgroupPermissions: permissions,
    })) ?? [],
  DeviceCgroupRules: options.deviceCgroupRules ?? null,
  DeviceRequests: null,
  Ulimits: options.ulimits?.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })) ?? [],
  Sysctls: options.sysctls ?? null,
  ShmSize: options.shmSizeBytes ?? 64 * 1024 * 1024,
  OomScoreAdj: options.oomScoreAdj ?? 0,
  GroupAdd: options.groupAdd ?? null,
  PidMode: options.pidMode ?? '',
  IpcMode: options.ipcMode ?? 'private',
  UTSMode: options.utsMode ?? '',
  UsernsMode: options.userMode ?? '',
  CgroupnsMode: options.cgroupMode ?? 'private',
  ...(options.umask === undefined ? {} : { Umask: `0${options.umask.toString(8).padStart(3, '0')}` }),
  ...(options.annotations === undefined ? {} : { Annotations: options.annotations }),
});
