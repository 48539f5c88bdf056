import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { GantryError } from '#errors/index.ts';
import { createCgroup } from './cgroup.ts';
import { grantRealtime, inheritCpuset } from './cgroup-cpu.ts';
import type { AttachDeviceFilter } from './cgroup-devices.ts';
import { type CgroupFiles, type ControllerDirectory, hostCgroupFiles, readControlIfThere } from './cgroup-files.ts';
import {
  type ControllerName,
  controllerNames,
  findHierarchies,
  type Hierarchy,
  processDirectories,
} from './cgroup-hierarchies.ts';
import {
  type ControllerDirectories,
  controllersFor,
  enableControllers,
  v2Controllers,
  v2Name,
  withoutController,
  writeLimits,
} from './cgroup-limits.ts';
import type { CgroupResources, Cgroups } from './cgroups.ts';
import { attachDeviceFilter } from './ebpf-device-filter.ts';
import { SyscallError } from './kernel.ts';

/** Where the facts come from; the host itself unless a test says otherwise. */
export interface CgroupHost {
  readonly files: CgroupFiles;
  /** /proc/self/mountinfo (proc_pid_mountinfo(5)). */
  readonly mountinfo: string;
  /** /proc/PID/cgroup, of ourselves where `pid` is undefined. */
  processCgroups(pid?: number): string;
  readonly attachDeviceFilter: AttachDeviceFilter;
}

const host = (): CgroupHost => ({
  files: hostCgroupFiles,
  mountinfo: readFileSync('/proc/self/mountinfo', 'utf8'),
  processCgroups: (pid) => readFileSync(`/proc/${pid ?? 'self'}/cgroup`, 'utf8'),
  attachDeviceFilter,
});

function checkPath(path: string): string {
  if (!path.startsWith('/') || path === '/' || posix.normalize(path) !== path || path.includes('\0'))
    throw new GantryError(
      'invalid',
      `cgroup path ${JSON.stringify(path)}: use an absolute one like /gantry/name, without ..`,
    );
  return path.replace(/\/$/, '');
}

/** A parent that we made may have another's cgroup in it by now. */
function removeUnlessUsed(files: CgroupFiles, directory: string): void {
  try {
    files.removeDirectory(directory);
  } catch (error) {
    if (!(error instanceof SyscallError && (error.code === 'EBUSY' || error.code === 'ENOTEMPTY'))) throw error;
  }
}

/** A cgroup's directory in each hierarchy. */
interface Place {
  readonly hierarchy: Hierarchy;
  readonly directory: string;
}

/**
 * The cgroups of this host. What is mounted, and which cgroup we are in, is read once; see {@link findHierarchies} for
 * where ours are made. All work but waiting for processes is synchronous: cgroupfs answers in microseconds.
 * @throws GantryError unsupported where no cgroup hierarchy is mounted
 */
export function openCgroups(from: CgroupHost = host()): Cgroups {
  const { files } = from;
  const hierarchies = findHierarchies(from.mountinfo, from.processCgroups());
  const versions = new Set(hierarchies.map(({ version }) => version));
  if (versions.size === 0)
    throw new GantryError('unsupported', 'no cgroup hierarchy is mounted; mount cgroup2 on /sys/fs/cgroup');

  const at = (version: 1 | 2, path: string): ControllerDirectory => ({ version, path, files });

  /** Those of its controllers that the host's v2 hierarchy really has; beside v1 mostly none. */
  const v2Has = new Set(
    hierarchies
      .filter(({ version }) => version === 2)
      .flatMap(({ mountpoint }) => (readControlIfThere(at(2, mountpoint), 'cgroup.controllers') ?? '').split(/\s+/)),
  );
  const usual = v2Controllers.filter((name) => v2Has.has(name));

  function directoriesOf(places: readonly Place[]): ControllerDirectories {
    const of = new Map<ControllerName, ControllerDirectory>();
    let unified: ControllerDirectory | undefined;
    for (const { hierarchy, directory } of places) {
      const controller = at(hierarchy.version, directory);
      if (hierarchy.version === 2) {
        unified = controller;
        for (const name of controllerNames)
          if (!of.has(name) && (withoutController.has(name) || v2Has.has(v2Name(name)))) of.set(name, controller);
      } else
        for (const name of controllerNames)
          if (hierarchy.controllers.split(',').includes(name)) of.set(name, controller);
    }
    return { of, unified };
  }

  const cgroupAt = (path: string, places: readonly Place[]) =>
    createCgroup(
      path,
      directoriesOf(places),
      places.map(({ directory }) => directory),
      files,
      from.attachDeviceFilter,
    );

  const exists = (directory: string) => readControlIfThere(at(1, directory), 'cgroup.procs') !== undefined;

  /**
   * A cgroup that a daemon in another cgroup made (it was restarted by hand, or as another session) is found among the
   * neighbours of our own.
   */
  function locate({ mountpoint, base }: Hierarchy, path: string): string {
    const expected = `${mountpoint}${base}${path}`;
    if (base === '' || exists(expected)) return expected;
    for (let above = posix.dirname(base); ; above = posix.dirname(above)) {
      const directory = above === '/' ? mountpoint : `${mountpoint}${above}`;
      for (const child of ['', ...files.directories(directory).map((name) => `/${name}`)])
        if (exists(`${directory}${child}${path}`)) return `${directory}${child}${path}`;
      if (above === '/') return expected;
    }
  }

  /** Makes each directory down the path; `made` gets the new ones, deepest last. */
  function makeIn(
    hierarchy: Hierarchy,
    base: string,
    path: string,
    resources: CgroupResources,
    made: string[],
  ): string {
    const v1Has = (name: ControllerName) => hierarchy.version === 1 && hierarchy.controllers.split(',').includes(name);
    const enabled = hierarchy.version === 2 ? [...usual, ...controllersFor(resources)] : [];
    let parent = `${hierarchy.mountpoint}${base}`;
    for (const name of path.slice(1).split('/')) {
      const directory = `${parent}/${name}`;
      if (enabled.length > 0) enableControllers(at(2, parent), enabled);
      if (files.makeDirectory(directory)) made.push(directory);
      if (v1Has('cpuset')) inheritCpuset(at(1, parent), at(1, directory));
      if (v1Has('cpu') && resources.cpu !== undefined) grantRealtime(at(1, directory), resources.cpu);
      parent = directory;
    }
    return parent;
  }

  return {
    layout: versions.size === 2 ? 'hybrid' : versions.has(2) ? 'v2' : 'v1',
    hierarchies: hierarchies.map(({ mountpoint, controllers, version }) => ({ mountpoint, controllers, version })),

    create(asked, resources, { below = 'own' } = {}) {
      const path = checkPath(asked);
      const made: string[] = [];
      try {
        const places = hierarchies.map((hierarchy) => ({
          hierarchy,
          directory: makeIn(hierarchy, below === 'root' ? '' : hierarchy.base, path, resources, made),
        }));
        const cgroup = cgroupAt(path, places);
        if (places.some(({ directory }) => !made.includes(directory)) && cgroup.pids().length > 0)
          throw new GantryError('conflict', `cgroup ${path} exists and has processes; choose another path`);
        writeLimits(directoriesOf(places), resources, from.attachDeviceFilter);
        return cgroup;
      } catch (error) {
        for (const directory of made.toReversed()) removeUnlessUsed(files, directory);
        throw error;
      }
    },

    placeOf(asked, { below = 'own' } = {}) {
      const path = checkPath(asked);
      return hierarchies.map(({ mountpoint, base }) => `${mountpoint}${below === 'root' ? '' : base}${path}`);
    },

    open(asked) {
      const path = checkPath(asked);
      const places = hierarchies.map((hierarchy) => ({ hierarchy, directory: locate(hierarchy, path) }));
      // Another runtime may have left hierarchies out.
      const there = places.filter(({ directory }) => exists(directory));
      return cgroupAt(path, there.length > 0 ? there : places);
    },

    at(directories) {
      const places = directories.flatMap((directory) => {
        const hierarchy = hierarchies.find(({ mountpoint }) => directory.startsWith(`${mountpoint}/`));
        return hierarchy === undefined ? [] : [{ hierarchy, directory }];
      });
      const [first] = places;
      return cgroupAt(first?.directory.slice(first.hierarchy.mountpoint.length) ?? '/', places);
    },

    ofProcess(pid) {
      const found = processDirectories(from.mountinfo, from.processCgroups(pid));
      const places = hierarchies.flatMap((hierarchy) => {
        const below = found.find(({ controllers }) => controllers === hierarchy.controllers)?.below;
        // Not one that it shares with us, nor the root: those are nobody's to limit or kill.
        return below === undefined || below === '' || below === hierarchy.base
          ? []
          : [{ hierarchy, directory: `${hierarchy.mountpoint}${below}`, below }];
      });
      const [first] = places;
      if (first === undefined)
        throw new GantryError('not-found', `process ${pid} is in no cgroup of its own`, { code: 'no-cgroup' });
      return cgroupAt(first.below, places);
    },
  };
}
