import { GantryError } from '#errors/index.ts';
import { writeCpu, writeCpuset } from './cgroup-cpu.ts';
import { type ControllerDirectory, readControlIfThere, writeControl } from './cgroup-files.ts';
import type { ControllerName } from './cgroup-hierarchies.ts';
import { writeMemory } from './cgroup-memory.ts';
import type { CgroupResources } from './cgroups.ts';
import type { DeviceRules } from './ebpf-device-program.ts';

/** A cgroup as its controllers see it: which directory answers for which; `unified` is the one of v2, if there is one. */
export interface ControllerDirectories {
  readonly of: ReadonlyMap<ControllerName, ControllerDirectory>;
  readonly unified: ControllerDirectory | undefined;
}

export type AttachDeviceFilter = (directory: string, rules: DeviceRules) => void;

function directoryFor(directories: ControllerDirectories, name: ControllerName, field: string): ControllerDirectory {
  const directory = directories.of.get(name);
  if (directory === undefined)
    throw new GantryError('unsupported', `${field}: this host has no ${name} cgroup controller; leave the limit out`);
  return directory;
}

const isSet = (value: object) => Object.values(value).some((limit) => limit !== undefined);

/** One rule as the lines of v1's devices.allow and devices.deny: `a`, or `c 1:3 rwm`. */
export function deviceLines(rule: DeviceRules[number]): readonly string[] {
  const number = (value: number | undefined) => (value === undefined || value < 0 ? '*' : String(value));
  const access = rule.access ?? 'rwm';
  const numbers = `${number(rule.major)}:${number(rule.minor)}`;
  if (rule.type !== undefined && rule.type !== '' && rule.type !== 'a')
    return [`${rule.type === 'u' ? 'c' : rule.type} ${numbers} ${access}`];
  // The kernel reads `a` as everything, whatever numbers follow.
  if (numbers === '*:*' && access.length === 3) return ['a'];
  return [`c ${numbers} ${access}`, `b ${numbers} ${access}`];
}

function writeDevices(directory: ControllerDirectory, rules: DeviceRules, attach: AttachDeviceFilter): void {
  if (directory.version === 2) {
    attach(directory.path, rules);
    return;
  }
  for (const rule of rules)
    for (const line of deviceLines(rule))
      writeControl(directory, rule.allow ? 'devices.allow' : 'devices.deny', line, 'devices');
}

function writeUnified(directory: ControllerDirectory | undefined, values: Readonly<Record<string, string>>): void {
  for (const [file, value] of Object.entries(values)) {
    if (!/^[a-z0-9_]+(\.[a-zA-Z0-9_]+)+$/.test(file) || file.startsWith('cgroup.'))
      throw new GantryError('invalid', `unified ${file}: not a controller's file, like memory.high`);
    if (directory === undefined)
      throw new GantryError('unsupported', `unified ${file}: this host has no cgroup v2; use the limit's own field`);
    writeControl(directory, file, value, `unified ${file}`);
  }
}

/** Writes what is given and leaves the rest as it is. @throws SyscallError, GantryError invalid | unsupported */
export function writeLimits(
  directories: ControllerDirectories,
  resources: CgroupResources,
  attach: AttachDeviceFilter,
): void {
  const { memory, cpu, pids, devices, unified } = resources;
  if (memory !== undefined && isSet(memory)) writeMemory(directoryFor(directories, 'memory', 'memory'), memory);
  if (cpu !== undefined) {
    const { cpus, mems, ...time } = cpu;
    if (isSet(time)) writeCpu(directoryFor(directories, 'cpu', 'cpu'), time);
    if (cpus !== undefined || mems !== undefined) writeCpuset(directoryFor(directories, 'cpuset', 'cpu.cpus'), cpu);
  }
  if (pids !== undefined)
    writeControl(
      directoryFor(directories, 'pids', 'pids.limit'),
      'pids.max',
      pids.limit > 0 ? String(pids.limit) : 'max',
      'pids.limit',
    );
  if (devices !== undefined && devices.length > 0)
    writeDevices(directoryFor(directories, 'devices', 'devices'), devices, attach);
  if (unified !== undefined) writeUnified(directories.unified, unified);
}

/** Controllers of v2 that are files of the cgroup; devices (eBPF), freezer and the cpu time used need none enabled. */
export const v2Controllers = ['cpu', 'cpuset', 'io', 'memory', 'pids'] as const;

/** v2: lets children of a cgroup have the controllers it has (cgroup-v2.rst: Enabling and Disabling). */
export function enableControllers(directory: ControllerDirectory): void {
  const words = (file: string) => (readControlIfThere(directory, file) ?? '').split(/\s+/);
  const enabled = words('cgroup.subtree_control');
  const missing = words('cgroup.controllers').filter(
    (name) => (v2Controllers as readonly string[]).includes(name) && !enabled.includes(name),
  );
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
