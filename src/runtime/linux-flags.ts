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
export const fsconfig = { flag: 0, string: 1, create: 6, reconfigure: 7 } as const;

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
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
};
/** With a listener TSYNC is refused by errno, not by a thread's id (SECCOMP_FILTER_FLAG_TSYNC_ESRCH). */
export const tsyncByErrno = 16;

const bitsOf = (prefix: string, names: string): Readonly<Record<string, number>> =>
  Object.fromEntries(names.split(' ').map((name, bit) => [`${prefix}${name}`, 2 ** bit]));

/** SCHED_* (sched(7)). */
export const schedulerPolicies: Readonly<Record<string, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
};

/** SCHED_FLAG_* (linux/sched.h). */
export const schedulerFlags = bitsOf(
  'SCHED_FLAG_',
  'RESET_ON_FORK RECLAIM DL_OVERRUN KEEP_POLICY KEEP_PARAMS UTIL_CLAMP_MIN UTIL_CLAMP_MAX',
);

/** IOPRIO_CLASS_* (ioprio_set(2)). */
export const ioPriorityClasses: Readonly<Record<string, number>> = {
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
};

/** MPOL_* (set_mempolicy(2)). */
export const memoryPolicies: Readonly<Record<'modes' | 'flags', Readonly<Record<string, number>>>> = {
  modes: Object.fromEntries(
    'DEFAULT PREFERRED BIND INTERLEAVE LOCAL PREFERRED_MANY WEIGHTED_INTERLEAVE'
      .split(' ')
      .map((name, number) => [`MPOL_${name}`, number]),
  ),
  flags: { MPOL_F_NUMA_BALANCING: 1 << 13, MPOL_F_RELATIVE_NODES: 1 << 14, MPOL_F_STATIC_NODES: 1 << 15 },
};

/** personality(2). */
export const personalities: Readonly<Record<'domains' | 'flags', Readonly<Record<string, number>>>> = {
  domains: { LINUX: 0, LINUX32: 8 },
  flags: {
    UNAME26: 0x20000,
    ADDR_NO_RANDOMIZE: 0x40000,
    FDPIC_FUNCPTRS: 0x80000,
    MMAP_PAGE_ZERO: 0x100000,
    ADDR_COMPAT_LAYOUT: 0x200000,
    READ_IMPLIES_EXEC: 0x400000,
    ADDR_LIMIT_32BIT: 0x800000,
    SHORT_INODE: 0x1000000,
    WHOLE_SECONDS: 0x2000000,
    STICKY_TIMEOUTS: 0x4000000,
    ADDR_LIMIT_3GB: 0x8000000,
  },
};
