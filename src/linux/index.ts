export type { Cgroup, CgroupResources, CgroupStats, Cgroups } from './cgroups.ts';
export { mountDetached, openInRoot } from './detached-mount.ts';
export { check, type Kernel, kernel, type SyscallArgument, SyscallError, type SyscallName } from './kernel.ts';
