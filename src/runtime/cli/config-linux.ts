import { resourcesRule } from './config-resources.ts';
import {
  absolutePath,
  filled,
  flag,
  int64,
  integer,
  list,
  mapOf,
  matching,
  object,
  oneOf,
  type Rule,
  refuse,
  text,
  uint32,
  uint64,
} from './config-rules.ts';

/** runtime-spec: config-linux.md#user-namespace-mappings, config.md#mounts. */
export const idMappings = list(
  object({ containerID: uint32, hostID: uint32, size: uint32 }, ['containerID', 'hostID', 'size']),
);

const seccompAction = oneOf(
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_TRAP',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_TRACE',
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_LOG',
  'SCMP_ACT_NOTIFY',
);

const architecture = oneOf(
  ...(
    'X86 X86_64 X32 ARM AARCH64 LOONGARCH64 M68K MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE ' +
    'S390 S390X SH SHEB PARISC PARISC64 RISCV64'
  )
    .split(' ')
    .map((name) => `SCMP_ARCH_${name}`),
);

const comparison = oneOf(...'NE LT LE EQ GE GT MASKED_EQ'.split(' ').map((name) => `SCMP_CMP_${name}`));
const errno = integer(0, 4095);

const names: Rule = (value, pointer) => {
  list(filled)(value, pointer);
  if (Array.isArray(value) && value.length === 0) refuse(pointer, value, 'it must name a system call');
};

const seccomp = object(
  {
    defaultAction: seccompAction,
    defaultErrnoRet: errno,
    architectures: list(architecture),
    flags: list(
      oneOf(
        ...'TSYNC LOG SPEC_ALLOW WAIT_KILLABLE_RECV NEW_LISTENER TSYNC_ESRCH'
          .split(' ')
          .map((name) => `SECCOMP_FILTER_FLAG_${name}`),
      ),
    ),
    listenerPath: text,
    listenerMetadata: text,
    syscalls: list(
      object(
        {
          names,
          action: seccompAction,
          errnoRet: errno,
          args: list(
            object({ index: integer(0, 5), value: uint64, valueTwo: uint64, op: comparison }, ['index', 'value', 'op']),
          ),
        },
        ['names', 'action'],
      ),
    ),
  },
  ['defaultAction'],
);

const devices = list(
  object(
    {
      path: absolutePath,
      type: oneOf('c', 'b', 'u', 'p'),
      major: int64,
      minor: int64,
      // With the type's bits, as engines give it.
      fileMode: integer(0, 0o177_777),
      uid: uint32,
      gid: uint32,
    },
    ['path', 'type'],
  ),
);

const timeOffset = object({ secs: int64, nanosecs: integer(0, 999_999_999) });

/** runtime-spec: config-linux.md. */
export const linuxRule = object({
  namespaces: list(
    object(
      {
        type: oneOf('pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'),
        path: (value, pointer) => {
          if (value !== '') absolutePath(value, pointer);
        },
      },
      ['type'],
    ),
  ),
  uidMappings: idMappings,
  gidMappings: idMappings,
  timeOffsets: object({ boottime: timeOffset, monotonic: timeOffset }),
  devices,
  netDevices: mapOf(object({ name: text })),
  cgroupsPath: text,
  resources: resourcesRule,
  // With an r in front as mount(8) spells it, as engines do; the effect is the same.
  rootfsPropagation: oneOf('', ...['private', 'slave', 'shared', 'unbindable'].flatMap((name) => [name, `r${name}`])),
  seccomp,
  sysctl: mapOf(text),
  maskedPaths: list(absolutePath),
  readonlyPaths: list(absolutePath),
  mountLabel: text,
  intelRdt: object({
    closID: text,
    schemata: list(text),
    l3CacheSchema: text,
    memBwSchema: matching(/^MB:[^\n]*$/, 'it must begin with MB:'),
    enableMonitoring: flag,
  }),
  memoryPolicy: object({
    mode: oneOf(
      ...'DEFAULT BIND INTERLEAVE WEIGHTED_INTERLEAVE PREFERRED PREFERRED_MANY LOCAL'
        .split(' ')
        .map((name) => `MPOL_${name}`),
    ),
    nodes: text,
    flags: list(oneOf('MPOL_F_NUMA_BALANCING', 'MPOL_F_RELATIVE_NODES', 'MPOL_F_STATIC_NODES')),
  }),
  personality: object({ domain: oneOf('LINUX', 'LINUX32'), flags: list(text) }),
});
