import type { NamespaceType } from '#oci/index.ts';

/** CLONE_NEW* by namespace (clone(2)). */
export const cloneFlags: Readonly<Record<NamespaceType, number>> = {
  mount: 0x00020000,
  cgroup: 0x02000000,
  uts: 0x04000000,
  ipc: 0x08000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
  time: 0x00000080,
};

/** MOUNT_ATTR_* (mount_setattr(2)). */
export const mountAttr = {
  readOnly: 0x1,
  noSuid: 0x2,
  noDev: 0x4,
  noExec: 0x8,
  atimeMask: 0x70,
  noAtime: 0x10,
  strictAtime: 0x20,
  noDirAtime: 0x80,
  noSymlinkFollow: 0x200000,
} as const;

/** MS_* for propagation (mount(2)). */
export const propagation = {
  recursive: 0x4000,
  unbindable: 0x20000,
  private: 0x40000,
  slave: 0x80000,
  shared: 0x100000,
} as const;

/** FSCONFIG_* (fsconfig(2)). */
export const fsconfig = { flag: 0, string: 1, create: 6 } as const;

/** RLIMIT_* (asm-generic/resource.h; the same on x86-64 and arm64). */
export const rlimits: Readonly<Record<string, number>> = Object.fromEntries(
  'CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'
    .split(' ')
    .map((name, number) => [`RLIMIT_${name}`, number]),
);

/** CAP_* (linux/capability.h) by number. */
export const capabilityNumbers: ReadonlyMap<string, number> = new Map(
  `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
  NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT
  SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
  WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`
    .split(/\s+/)
    .map((name, number) => [`CAP_${name}`, number]),
);

/** SECCOMP_FILTER_FLAG_* (seccomp(2)). */
export const seccompFlags: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
};
