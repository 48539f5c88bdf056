import { GantryError } from '#errors/index.ts';
import { writeBlockIo } from './cgroup-block-io.ts';
import { writeCpu, writeCpuset } from './cgroup-cpu.ts';
import { type AttachDeviceFilter, writeDevices } from './cgroup-devices.ts';
import { type ControllerDirectory, readControlIfThere, writeControl } from './cgroup-files.ts';
import type { ControllerName } from './cgroup-hierarchies.ts';
import { writeMemory } from './cgroup-memory.ts';
import { writeNetwork } from './cgroup-network.ts';
import type { CgroupResources } from './cgroups.ts';

/** A cgroup as its controllers see it: which directory answers for which; `unified` is the one of v2, if there is one. */
export interface ControllerDirectories {
  readonly of: ReadonlyMap<ControllerName, ControllerDirectory>;
  readonly unified: ControllerDirectory | undefined;
}

function directoryFor(directories: ControllerDirectories, name: ControllerName, field: string): ControllerDirectory {
  const directory = directories.of.get(name);
  if (directory === undefined)
    throw new GantryError('unsupported', `${field}: this host has no ${name} cgroup controller; leave the limit out`);
  return directory;
}

const isSet = (value: object) => Object.values(value).some((limit) => limit !== undefined);

function writeUnified(directory: ControllerDirectory | undefined, values: Readonly<Record<string, string>>): void {
  for (const [file, value] of Object.entries(values)) {
    if (!/^[a-z0-9_]+(\.[a-zA-Z0-9_]+)+$/.test(file) || file.startsWith('cgroup.'))
      throw new GantryError('invalid', `unified ${file}: not a controller's file, like memory.high`);
    if (directory === undefined)
      throw new GantryError('unsupported', `unified ${file}: this host has no cgroup v2; use the limit's own field`);
    writeControl(directory, file, value, `unified ${file}`);
  }
}

/** Limits of huge pages by their size; reserved ones are counted too where the kernel does (hugetlb.rst). */
function writeHugepages(directory: ControllerDirectory, limits: NonNullable<CgroupResources['hugepageLimits']>): void {
  const file = directory.version === 1 ? 'limit_in_bytes' : 'max';
  for (const { pageSize, limit } of limits) {
    const field = `hugepageLimits ${pageSize}`;
    if (!/^[1-9]\d*[KMG]B$/.test(pageSize))
      throw new GantryError('invalid', `${field}: use a size as the kernel writes it, like 2MB or 1GB`);
    writeControl(directory, `hugetlb.${pageSize}.${file}`, String(limit), field);
    const reserved = `hugetlb.${pageSize}.rsvd.${file}`;
    if (readControlIfThere(directory, reserved) !== undefined) writeControl(directory, reserved, String(limit), field);
  }
}

function writeRdma(directory: ControllerDirectory, limits: NonNullable<CgroupResources['rdma']>): void {
  for (const [device, { hcaHandles, hcaObjects }] of Object.entries(limits)) {
    const handles = hcaHandles === undefined ? '' : ` hca_handle=${hcaHandles}`;
    const objects = hcaObjects === undefined ? '' : ` hca_object=${hcaObjects}`;
    writeControl(directory, 'rdma.max', `${device}${handles}${objects}`, `rdma ${device}`);
  }
}

/** Writes what is given and leaves the rest as it is. @throws SyscallError, GantryError invalid | unsupported | conflict */
export function writeLimits(
  directories: ControllerDirectories,
  resources: CgroupResources,
  attach: AttachDeviceFilter,
): void {
  const { memory, cpu, pids, devices, blockIO, hugepageLimits, network, rdma, unified } = resources;
  const of = (name: ControllerName, field: string) => directoryFor(directories, name, field);
  if (memory !== undefined && isSet(memory)) writeMemory(of('memory', 'memory'), memory);
  if (cpu !== undefined) {
    const { cpus, mems, ...time } = cpu;
    if (isSet(time)) writeCpu(of('cpu', 'cpu'), time);
    if (cpus !== undefined || mems !== undefined) writeCpuset(of('cpuset', 'cpu.cpus'), cpu);
  }
  if (pids !== undefined)
    writeControl(of('pids', 'pids.limit'), 'pids.max', pids.limit > 0 ? String(pids.limit) : 'max', 'pids.limit');
  if (blockIO !== undefined && isSet(blockIO)) writeBlockIo(of('blkio', 'blockIO'), blockIO);
  if (hugepageLimits !== undefined && hugepageLimits.length > 0)
    writeHugepages(of('hugetlb', 'hugepageLimits'), hugepageLimits);
  if (network !== undefined) writeNetwork(network, of);
  if (rdma !== undefined && Object.keys(rdma).length > 0) writeRdma(of('rdma', 'rdma'), rdma);
  if (devices !== undefined && devices.length > 0) writeDevices(of('devices', 'devices'), devices, attach);
  if (unified !== undefined) writeUnified(directories.unified, unified);
}

/** Controllers of v2 that every cgroup of ours has. */
export const v2Controllers = ['cpu', 'cpuset', 'io', 'memory', 'pids'] as const;
/** Those that it has where its limits ask for them. */
const rareControllers = ['hugetlb', 'rdma', 'misc', 'dmem'] as const;

/** What v2 calls the controller that v1 has by another name. */
export const v2Name = (name: ControllerName): string => (name === 'blkio' ? 'io' : name);

/** What v2 does, or says that it cannot, without a controller. */
export const withoutController: ReadonlySet<ControllerName> = new Set([
  'cpuacct',
  'devices',
  'freezer',
  'net_cls',
  'net_prio',
]);

/** Which controllers v2 must enable for these limits, beside the usual ones. */
export function controllersFor({ hugepageLimits = [], rdma = {}, unified = {} }: CgroupResources): readonly string[] {
  const asked = new Set(Object.keys(unified).map((file) => file.slice(0, file.indexOf('.'))));
  if (hugepageLimits.length > 0) asked.add('hugetlb');
  if (Object.keys(rdma).length > 0) asked.add('rdma');
  return rareControllers.filter((name) => asked.has(name));
}

/** v2: lets children of a cgroup have those of the controllers that it has itself (cgroup-v2.rst: Enabling and Disabling). */
export function enableControllers(directory: ControllerDirectory, controllers: readonly string[]): void {
  const words = (file: string) => (readControlIfThere(directory, file) ?? '').split(/\s+/);
  const enabled = words('cgroup.subtree_control');
  const missing = words('cgroup.controllers').filter((name) => controllers.includes(name) && !enabled.includes(name));
  for (const name of missing) {
    try {
      writeControl(directory, 'cgroup.subtree_control', `+${name}`, `the ${name} controller`);
    } catch (error) {
      throw new GantryError(
        'unavailable',
        `cannot enable the ${name} cgroup controller below ${directory.path}; if processes are in that cgroup itself, move them into one below it`,
        { cause: error },
      );
    }
  }
}
