import { GantryError } from '#errors/index.ts';
import type { Device } from '#oci/index.ts';
import type { MountWorld } from './mount-steps.ts';
import type { PlanStep } from './plan.ts';

/** The nodes every container has (runtime-spec: config-linux.md#default-devices). */
const defaultDevices: readonly Device[] = (
  [
    ['null', 1, 3],
    ['zero', 1, 5],
    ['full', 1, 7],
    ['random', 1, 8],
    ['urandom', 1, 9],
    ['tty', 5, 0],
  ] as const
).map(([name, major, minor]) => ({ path: `/dev/${name}`, type: 'c', major, minor, fileMode: 0o666 }));

/** runtime-spec: runtime-linux.md#dev-symbolic-links */
const links: readonly (readonly [target: string, path: string])[] = [
  ['/proc/self/fd', '/dev/fd'],
  ['/proc/self/fd/0', '/dev/stdin'],
  ['/proc/self/fd/1', '/dev/stdout'],
  ['/proc/self/fd/2', '/dev/stderr'],
  ['pts/ptmx', '/dev/ptmx'],
];

const modeType = { c: 0o020000, u: 0o020000, b: 0o060000, p: 0o010000 } as const;

function checkDevice({ path, type, major, minor }: Device): void {
  if (!path.startsWith('/')) throw new GantryError('invalid', `device "${path}": the path must be absolute`);
  if (modeType[type] === undefined)
    throw new GantryError('invalid', `device ${path}: type "${String(type)}" is unknown; use c, b, u or p`);
  if (type !== 'p' && (major === undefined || minor === undefined))
    throw new GantryError('invalid', `device ${path}: it needs major and minor numbers`);
}

const numberOf = ({ major = 0, minor = 0 }: Device): bigint => (BigInt(major) << 32n) | BigInt(minor);

function nodeStep(device: Device): PlanStep {
  const mode = modeType[device.type] | (device.fileMode ?? 0o666);
  return {
    name: 'node',
    args: [device.path, mode, numberOf(device), device.uid ?? 0, device.gid ?? 0],
    about: `making the device ${device.path}`,
  };
}

/** No node that is made in a user namespace can be opened: there it is the host's of the same path. */
function boundSteps(device: Device, { preparation }: MountWorld): readonly PlanStep[] {
  const about = `binding the host's device ${device.path}`;
  const open: PlanStep = {
    name: 'device-tree',
    args: [device.path, modeType[device.type], numberOf(device)],
    about,
  };
  return [...preparation.hold([open]), { name: 'attach', args: [device.path, 1], about }];
}

function stepsOf(device: Device, world: MountWorld): readonly PlanStep[] {
  checkDevice(device);
  return world.userNamespace === undefined || device.type === 'p' ? [nodeStep(device)] : boundSteps(device, world);
}

/**
 * What /dev holds: the default nodes and links, then the specification's own devices. Where /dev is the host's, only
 * devices elsewhere are made.
 * @throws GantryError invalid, naming the device
 */
export function deviceSteps(
  devices: readonly Device[],
  world: MountWorld,
  { ownDev }: { readonly ownDev: boolean },
): readonly PlanStep[] {
  const make = (list: readonly Device[]) => list.flatMap((device) => stepsOf(device, world));
  if (!ownDev) return make(devices.filter(({ path }) => !path.startsWith('/dev/')));
  const own = new Set(devices.map((device) => device.path));
  return [
    ...make(defaultDevices.filter((device) => !own.has(device.path))),
    ...links.map(([target, path]): PlanStep => ({ name: 'symlink', args: [target, path], about: `making ${path}` })),
    ...make(devices),
  ];
}
