import { setTimeout as delay } from 'node:timers/promises';
import { GantryError } from '#errors/index.ts';
import type { AttachDeviceFilter } from './cgroup-devices.ts';
import {
  type CgroupFiles,
  type ControllerDirectory,
  keyedNumber,
  readControl,
  readControlIfThere,
  writeControl,
} from './cgroup-files.ts';
import { type ControllerDirectories, writeLimits } from './cgroup-limits.ts';
import { readMemory } from './cgroup-memory.ts';
import type { Cgroup } from './cgroups.ts';
import { SyscallError } from './kernel.ts';

const SIGKILL = 9;
/** How long dying, freezing or leaving processes are waited for, in milliseconds. */
const PATIENCE = 10_000;

/** Asks until it is so, at once and then ever less often. @throws GantryError unavailable after the patience ends */
async function until(isSo: () => boolean, waitingFor: string): Promise<void> {
  const end = performance.now() + PATIENCE;
  for (let pause = 1; !isSo(); pause = Math.min(pause * 2, 20)) {
    if (performance.now() > end)
      throw new GantryError(
        'unavailable',
        `waited ${PATIENCE / 1000} s for ${waitingFor}; a process may hang in the kernel`,
      );
    await delay(pause);
  }
}

/** The pids in a cgroup and in those below it; none where it is gone. */
function pidsBelow(files: CgroupFiles, directory: string): readonly number[] {
  let text: string;
  try {
    text = files.read(`${directory}/cgroup.procs`);
  } catch (error) {
    if (error instanceof SyscallError && (error.code === 'ENOENT' || error.code === 'ENODEV')) return [];
    throw error;
  }
  const own = text.split('\n').filter((line) => line !== '');
  return [
    ...own.map(Number).filter((pid) => pid > 0), // 0: of another pid namespace
    ...files.directories(directory).flatMap((name) => pidsBelow(files, `${directory}/${name}`)),
  ];
}

function signalProcess(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Removes a cgroup and those below it. True once it is gone; false while processes are in it. */
function removeTree(files: CgroupFiles, directory: string): boolean {
  try {
    files.removeDirectory(directory);
    return true;
  } catch (error) {
    if (!(error instanceof SyscallError && (error.code === 'EBUSY' || error.code === 'ENOTEMPTY'))) throw error;
  }
  const below = files.directories(directory);
  if (below.length === 0 || !below.every((name) => removeTree(files, `${directory}/${name}`))) return false;
  return removeTree(files, directory);
}

/** One cgroup over its directories; see the contract, {@link Cgroup}. */
export function createCgroup(
  path: string,
  controllers: ControllerDirectories,
  directories: readonly string[],
  files: CgroupFiles,
  attachDeviceFilter: AttachDeviceFilter,
): Cgroup {
  const { of, unified } = controllers;
  // v2 kills and freezes atomically, even beside v1 controllers: its hierarchy needs none for that.
  const members = unified ?? of.get('pids') ?? of.get('freezer');
  const pids = () => pidsBelow(files, members?.path ?? directories[0] ?? '');
  const freezer = unified ?? of.get('freezer');

  function freezerOrThrow(): ControllerDirectory {
    if (freezer === undefined)
      throw new GantryError(
        'unsupported',
        `pausing ${path}: this host has neither cgroup v2 nor the freezer controller`,
      );
    return freezer;
  }

  async function setFrozen(frozen: boolean): Promise<void> {
    const directory = freezerOrThrow();
    if (directory.version === 2) {
      writeControl(directory, 'cgroup.freeze', frozen ? '1' : '0', 'freeze');
      const wanted = frozen ? 1 : 0;
      await until(
        () => keyedNumber(readControl(directory, 'cgroup.events'), 'frozen') === wanted,
        `${path} to ${frozen ? 'freeze' : 'thaw'}`,
      );
      return;
    }
    const state = frozen ? 'FROZEN' : 'THAWED';
    // Writing again makes the kernel try the processes that were not freezable at first (cgroup-v1/freezer-subsystem.rst).
    await until(() => {
      writeControl(directory, 'freezer.state', state, 'freeze');
      return readControl(directory, 'freezer.state') === state;
    }, `${path} to become ${state}`);
  }

  /** Without cgroup.kill: frozen first, so that nothing forks away while the list is gone through. */
  async function killEach(): Promise<void> {
    const canFreeze = freezer !== undefined && readControlIfThere(freezer, 'cgroup.procs') !== undefined;
    if (canFreeze) await setFrozen(true);
    try {
      for (const pid of pids()) signalProcess(pid, SIGKILL);
    } finally {
      if (canFreeze) await setFrozen(false);
    }
    await until(() => {
      const left = pids();
      for (const pid of left) signalProcess(pid, SIGKILL);
      return left.length === 0;
    }, `the processes of ${path} to die`);
  }

  return {
    path,
    directories,
    pids,
    update: (resources) => writeLimits(controllers, resources, attachDeviceFilter),
    freeze: () => setFrozen(true),
    thaw: () => setFrozen(false),
    isFrozen: () =>
      freezer?.version === 2
        ? keyedNumber(readControlIfThere(freezer, 'cgroup.events'), 'frozen') === 1
        : (readControlIfThere(freezer, 'freezer.state') ?? 'THAWED') !== 'THAWED',

    async kill(signal = SIGKILL) {
      if (signal !== SIGKILL) {
        for (const pid of pids()) signalProcess(pid, signal);
        return;
      }
      if (unified === undefined || readControlIfThere(unified, 'cgroup.events') === undefined) return await killEach();
      try {
        unified.files.write(`${unified.path}/cgroup.kill`, '1');
      } catch (error) {
        // Before Linux 5.14 there is no such file.
        if (error instanceof SyscallError && error.code === 'ENOENT') return await killEach();
        throw error;
      }
      await until(() => pids().length === 0, `the processes of ${path} to die`);
    },

    stats() {
      const memory = of.get('memory');
      const counted = memory === undefined ? undefined : readMemory(memory);
      const accounting = of.get('cpuacct');
      const pidsDirectory = of.get('pids');
      const limit = readControlIfThere(pidsDirectory, 'pids.max') ?? 'max';
      return {
        cpuNanoseconds:
          accounting?.version === 1
            ? Number(readControl(accounting, 'cpuacct.usage'))
            : (keyedNumber(readControlIfThere(unified, 'cpu.stat'), 'usage_usec') ?? 0) * 1000,
        memoryBytes: counted?.bytes ?? 0,
        memoryLimitBytes: counted?.limit,
        pids: Number(readControlIfThere(pidsDirectory, 'pids.current') ?? pids().length),
        pidsLimit: limit === 'max' ? undefined : Number(limit),
      };
    },

    oomKills() {
      const memory = of.get('memory');
      const file = memory?.version === 1 ? 'memory.oom_control' : 'memory.events';
      return keyedNumber(readControlIfThere(memory, file), 'oom_kill') ?? 0;
    },

    async remove() {
      let left = directories;
      await until(() => {
        left = left.filter((directory) => !removeTree(files, directory));
        return left.length === 0;
      }, `the processes of ${path} to leave it`);
    },
  };
}
