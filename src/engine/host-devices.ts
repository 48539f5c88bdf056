import { readdir, realpath, stat } from 'node:fs/promises';
import { GantryError } from '#errors/index.ts';
import type { Device, DeviceRule } from '#oci/index.ts';
import type { ContainerOptions, DeviceRequest, ResourceOptions } from './engine.ts';
import type { GivenDevices } from './spec/device-rules.ts';
import type { BlockDevices } from './spec/resources.ts';

/** The parts of Linux's dev_t (makedev(3)). */
const majorOf = (dev: number): number => Number((BigInt(dev) >> 8n) & 0xfffn) + Number((BigInt(dev) >> 32n) & ~0xfffn);
const minorOf = (dev: number): number => Number(BigInt(dev) & 0xffn) | Number((BigInt(dev) >> 12n) & 0xffffff00n);

/** What of /dev a privileged container does not get: it has its own. */
const ownOfContainer = new Set([
  'pts',
  'shm',
  'fd',
  'mqueue',
  '.lxc',
  '.lxd-mounts',
  '.udev',
  'console',
  'ptmx',
  'tty',
]);

/** A device node of the host; undefined for what is none. */
async function deviceAt(hostPath: string, containerPath: string): Promise<Device | undefined> {
  const found = await stat(hostPath);
  const type = found.isCharacterDevice() ? 'c' : found.isBlockDevice() ? 'b' : undefined;
  if (type === undefined) return undefined;
  return {
    path: containerPath,
    type,
    major: majorOf(found.rdev),
    minor: minorOf(found.rdev),
    fileMode: found.mode & 0o7777,
    uid: found.uid,
    gid: found.gid,
  };
}

/** Every device node at or below a path; a node that went meanwhile is passed over. */
async function devicesBelow(hostPath: string, containerPath: string): Promise<readonly Device[]> {
  const entries = await readdir(hostPath, { withFileTypes: true });
  const lists = await Promise.all(
    entries
      .filter((entry) => !ownOfContainer.has(entry.name))
      .map(async (entry): Promise<readonly Device[]> => {
        const [from, to] = [`${hostPath}/${entry.name}`, `${containerPath}/${entry.name}`];
        if (entry.isDirectory()) return await devicesBelow(from, to);
        if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return [];
        const device = await deviceAt(from, to).catch((error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT') return undefined;
          throw error;
        });
        return device === undefined ? [] : [device];
      }),
  );
  return lists.flat();
}

async function requested({ hostPath, containerPath }: DeviceRequest): Promise<readonly Device[]> {
  const wrong = (why: string, cause?: unknown) =>
    new GantryError(
      'invalid',
      `error gathering device information while adding custom device "${hostPath}": ${why}`,
      cause === undefined ? {} : { cause },
    );
  let path: string;
  let directory: boolean;
  try {
    path = await realpath(hostPath);
    directory = (await stat(path)).isDirectory();
  } catch (error) {
    throw wrong('no such file or directory', error);
  }
  const devices = directory ? await devicesBelow(path, containerPath) : [await deviceAt(path, containerPath)];
  const nodes = devices.filter((device) => device !== undefined);
  if (nodes.length === 0) throw wrong('not a device node');
  return nodes;
}

const ruleFor = ({ type, major = 0, minor = 0 }: Device, access: string): DeviceRule => ({
  allow: true,
  type,
  major,
  minor,
  access,
});

/**
 * The device nodes that a container is given: those asked for, and for a privileged one all of the host.
 * @throws GantryError invalid, naming the path
 */
export async function devicesOf(options: ContainerOptions): Promise<GivenDevices> {
  const asked = await Promise.all(
    (options.devices ?? []).map(async (request) => ({ request, nodes: await requested(request) })),
  );
  const nodes = new Map(
    [...(options.privileged ? await devicesBelow('/dev', '/dev') : []), ...asked.flatMap((a) => a.nodes)].map(
      (device) => [device.path, device],
    ),
  );
  const rules = asked.flatMap(({ request, nodes: own }) => own.map((node) => ruleFor(node, request.permissions)));
  return { nodes: [...nodes.values()], rules };
}

/** The numbers of the devices that I/O limits name. @throws GantryError invalid, naming the path */
export async function blockDevicesOf(options: ResourceOptions): Promise<BlockDevices> {
  const paths = [
    ...(options.blockIoWeightDevices ?? []),
    ...(options.blockIoReadBps ?? []),
    ...(options.blockIoWriteBps ?? []),
    ...(options.blockIoReadIops ?? []),
    ...(options.blockIoWriteIops ?? []),
  ].map(({ path }) => path);
  return new Map(
    await Promise.all(
      [...new Set(paths)].map(async (path) => {
        const found = await stat(path).catch((cause: unknown) => {
          throw new GantryError('invalid', `no such block device: ${path}`, { cause });
        });
        if (!found.isBlockDevice()) throw new GantryError('invalid', `${path} is no block device; I/O limits need one`);
        return [path, { major: majorOf(found.rdev), minor: minorOf(found.rdev) }] as const;
      }),
    ),
  );
}
