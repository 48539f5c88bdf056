import { GantryError } from '#errors/index.ts';
import type { Device } from '#oci/index.ts';
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

function deviceStep(device: Device): PlanStep {
  if (!device.path.startsWith('/'))
    throw new GantryError('invalid', `device "${device.path}": the path must be absolute`);
  const number = (BigInt(device.major ?? 0) << 32n) | BigInt(device.minor ?? 0);
  return {
    name: 'node',
    args: [device.path, modeType[device.type] | (device.fileMode ?? 0o666), number, device.uid ?? 0, device.gid ?? 0],
    about: `making the device ${device.path}`,
  };
}

/** What /dev holds: the default nodes and links, then the specification's own devices. */
export const deviceSteps = (devices: readonly Device[]): readonly PlanStep[] => {
  const own = new Set(devices.map((device) => device.path));
  return [
    ...defaultDevices.filter((device) => !own.has(device.path)).map(deviceStep),
    ...links.map(([target, path]): PlanStep => ({ name: 'symlink', args: [target, path], about: `making ${path}` })),
    ...devices.map(deviceStep),
  ];
};
