import type { Seccomp, SeccompRule } from '#oci/index.ts';

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/**
 * Compared call by call with moby's default profile (moby/profiles, seccomp/default.json, of summer 2026) on x64 and arm64,
 * with the default capabilities and with each other one added: the answers are the same, but for 32-bit and x32 programs,
 * which moby lets run under rules of their own (socketcall, ipc, …). Here their calls end the process or get EPERM.
 */

/** Calls that every container may make. What is absent gets EPERM: io_uring, keyrings, userfaultfd, bpf, kexec, … */
const always = words(`
  read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range
  open openat openat2 creat dup dup2 dup3 fcntl ioctl flock pipe pipe2 sendfile splice tee vmsplice copy_file_range
  readahead fadvise64 fallocate truncate ftruncate sync syncfs fsync fdatasync sync_file_range cachestat
  stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 getdents getdents64 getcwd chdir fchdir
  mkdir mkdirat rmdir mknod mknodat link linkat symlink symlinkat readlink readlinkat unlink unlinkat
  rename renameat renameat2 chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat umask
  utime utimes futimesat utimensat name_to_handle_at
  getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr
  removexattr lremovexattr fremovexattr getxattrat setxattrat listxattrat removexattrat
  inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
  select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old
  epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4
  io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents ioprio_get ioprio_set
  brk mmap munmap mprotect mremap madvise mincore msync mlock mlock2 mlockall munlock munlockall remap_file_pages
  memfd_create memfd_secret membarrier pkey_alloc pkey_free pkey_mprotect mseal map_shadow_stack
  futex futex_waitv futex_wait futex_wake futex_requeue get_robust_list set_robust_list rseq
  shmget shmat shmdt shmctl semget semop semctl semtimedop msgget msgsnd msgrcv msgctl
  mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
  socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt
  sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg
  fork vfork execve execveat exit exit_group wait4 waitid kill tkill tgkill pidfd_open pidfd_send_signal process_mrelease
  rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo
  rt_sigreturn sigaltstack pause alarm restart_syscall
  getpid getppid gettid getpgid getpgrp setpgid getsid setsid set_tid_address
  getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid setregid setresuid setresgid
  setfsuid setfsgid setgroups capget capset prctl seccomp
  landlock_create_ruleset landlock_add_rule landlock_restrict_self listmount statmount
  getpriority setpriority getrlimit setrlimit prlimit64 getrusage times getcpu sysinfo uname getrandom
  sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam
  sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval
  time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep adjtimex clock_adjtime
  getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime timer_settime
  timerfd_create timerfd_gettime timerfd_settime
  get_thread_area set_thread_area arch_prctl modify_ldt uretprobe
  ptrace process_vm_readv process_vm_writev
`);

/** Calls that come with a capability. */
const withCapability: Readonly<Record<string, readonly string[]>> = {
  CAP_DAC_READ_SEARCH: ['open_by_handle_at'],
  CAP_SYS_ADMIN: words(`
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie
    lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open
    quotactl quotactl_fd setdomainname sethostname setns syslog umount2 unshare`),
  CAP_SYS_BOOT: ['reboot'],
  CAP_SYS_CHROOT: ['chroot'],
  CAP_SYS_MODULE: ['delete_module', 'init_module', 'finit_module'],
  CAP_SYS_PACCT: ['acct'],
  CAP_SYS_PTRACE: ['kcmp', 'pidfd_getfd', 'process_madvise'],
  CAP_SYS_RAWIO: ['iopl', 'ioperm'],
  CAP_SYS_TIME: ['settimeofday', 'clock_settime'],
  CAP_SYS_TTY_CONFIG: ['vhangup'],
  CAP_SYS_NICE: ['get_mempolicy', 'mbind', 'set_mempolicy', 'set_mempolicy_home_node'],
  CAP_SYSLOG: ['syslog'],
  CAP_BPF: ['bpf'],
  CAP_PERFMON: ['perf_event_open'],
};

/** CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET. */
const namespaceFlags = 0x7e020000;
const enosys = 38;
/** PER_LINUX, PER_LINUX32, UNAME26, both, and the query. */
const personalities = [0, 8, 0x20000, 0x20008, 0xffffffff];
/**
 * Socket families from 12 on that a container may open. Out are AF_ALG (38: CVE-2026-31431 and its like), AF_VSOCK (40:
 * the hypervisor), those that nobody uses and the kernel has had holes in (DECnet 12, Econet 19, ATM 20, IrDA 23, Wanpipe 25,
 * ISDN 34, CAIF 37), and all that do not exist yet.
 */
const families = [13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45];

const allow = (names: readonly string[], extra: Partial<SeccompRule> = {}): SeccompRule => ({
  names,
  action: 'SCMP_ACT_ALLOW',
  ...extra,
});

/**
 * The profile of a container that asked for none: an allow-list close to Docker's. `capabilities` is its bounding set.
 * Without CAP_SYS_ADMIN no namespace can be made: clone3 answers ENOSYS (its flags are behind a pointer, out of a
 * filter's sight; libraries then use clone), and clone refuses the flags.
 */
export function defaultSeccompProfile(capabilities: readonly string[]): Seccomp {
  const syscalls: SeccompRule[] = [allow(always)];
  // Families are listed, not excluded: the kernel reads 32 bits of the argument, a "not equal" compares 64.
  syscalls.push(allow(['socket'], { args: [{ index: 0, value: 12, op: 'SCMP_CMP_LT' }] }));
  for (const value of families) syscalls.push(allow(['socket'], { args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }] }));
  for (const value of personalities)
    syscalls.push(allow(['personality'], { args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }] }));
  for (const capability of capabilities) {
    const names = withCapability[capability];
    if (names !== undefined) syscalls.push(allow(names));
  }
  if (!capabilities.includes('CAP_SYS_ADMIN')) {
    const noNamespaces = { index: 0, value: namespaceFlags, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' } as const;
    syscalls.push(allow(['clone'], { args: [noNamespaces] }));
    syscalls.push({ names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: enosys });
  }
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 1,
    architectures: [process.arch === 'arm64' ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64'],
    syscalls,
  };
}
