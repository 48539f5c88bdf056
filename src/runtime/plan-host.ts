import { readFileSync, statSync } from 'node:fs';
import type { Cgroup, Cgroups } from '#linux/index.ts';
import type { NamespaceType } from '#oci/index.ts';
import type { PlanHost } from './compile-plan.ts';
import { hostModules } from './label-steps.ts';
import type { CgroupDirectory } from './namespace-steps.ts';

/**
 * The capabilities that a process of ours may have, as bits (proc(5): /proc/self/status): those we have; or, where we have
 * none, all that a user namespace of our own gives.
 */
function ownCapabilities(): bigint {
  const status = readFileSync('/proc/self/status', 'utf8');
  const bits = (field: string) => BigInt(`0x${new RegExp(`^${field}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0'}`);
  return bits('CapPrm') || bits('CapBnd');
}

const namespaceFiles: Readonly<Record<NamespaceType, string>> = {
  mount: 'mnt',
  network: 'net',
  pid: 'pid',
  ipc: 'ipc',
  uts: 'uts',
  user: 'user',
  cgroup: 'cgroup',
  time: 'time',
};

/** Whether a namespace's file is of the one that we are in ourselves; one that is not there is told when it is opened. */
function isOwnNamespace(type: NamespaceType, path: string): boolean {
  const [asked, own] = [path, `/proc/self/ns/${namespaceFiles[type]}`].map((file) =>
    statSync(file, { throwIfNoEntry: false }),
  );
  return asked !== undefined && asked.ino === own?.ino && asked.dev === own.dev;
}

/** What of this host a plan depends on. */
export const planHost = (cgroups: Cgroups): PlanHost => ({
  capabilities: ownCapabilities(),
  hierarchies: cgroups.hierarchies,
  modules: hostModules(),
  isOwnNamespace,
});

/** A cgroup's directories with their hierarchies' versions. */
export const cgroupDirectories = (cgroup: Pick<Cgroup, 'directories'>, cgroups: Cgroups): readonly CgroupDirectory[] =>
  cgroup.directories.map((path) => ({
    path,
    version: cgroups.hierarchies.find(({ mountpoint }) => path.startsWith(`${mountpoint}/`))?.version ?? 1,
  }));
