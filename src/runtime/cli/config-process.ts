import {
  absolutePath,
  flag,
  int32,
  integer,
  list,
  matching,
  object,
  oneOf,
  type Rule,
  refuse,
  text,
  uint32,
  uint64,
} from './config-rules.ts';

const capabilities = list(matching(/^CAP_[A-Z_]+$/, 'use a name like CAP_CHOWN'));
const terminalSide = integer(0, 2 ** 16 - 1); // struct winsize has 16 bits

const args: Rule = (value, pointer) => {
  list(text)(value, pointer);
  if (Array.isArray(value) && value.length === 0) refuse(pointer, value, 'it must name a program');
};

const processors = matching(/^[0-9, -]*$/, 'use a list of processors like 0-3,7');

/** runtime-spec: config.md#process. */
export const processRule = object(
  {
    terminal: flag,
    consoleSize: object({ height: terminalSide, width: terminalSide }, ['height', 'width']),
    user: object({ uid: uint32, gid: uint32, umask: integer(0, 0o777), additionalGids: list(uint32), username: text }),
    args,
    commandLine: text,
    env: list(text),
    cwd: absolutePath,
    capabilities: object({
      bounding: capabilities,
      effective: capabilities,
      inheritable: capabilities,
      permitted: capabilities,
      ambient: capabilities,
    }),
    rlimits: list(
      object({ type: matching(/^RLIMIT_[A-Z]+$/, 'use a name like RLIMIT_NOFILE'), soft: uint64, hard: uint64 }, [
        'type',
        'soft',
        'hard',
      ]),
    ),
    noNewPrivileges: flag,
    oomScoreAdj: integer(-1000, 1000),
    apparmorProfile: text,
    selinuxLabel: text,
    ioPriority: object(
      { class: oneOf('IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE'), priority: integer(0, 7) },
      ['class'],
    ),
    scheduler: object(
      {
        policy: oneOf(
          'SCHED_OTHER',
          'SCHED_FIFO',
          'SCHED_RR',
          'SCHED_BATCH',
          'SCHED_ISO',
          'SCHED_IDLE',
          'SCHED_DEADLINE',
        ),
        nice: int32,
        priority: int32,
        flags: list(
          oneOf(
            'SCHED_FLAG_RESET_ON_FORK',
            'SCHED_FLAG_RECLAIM',
            'SCHED_FLAG_DL_OVERRUN',
            'SCHED_FLAG_KEEP_POLICY',
            'SCHED_FLAG_KEEP_PARAMS',
            'SCHED_FLAG_UTIL_CLAMP_MIN',
            'SCHED_FLAG_UTIL_CLAMP_MAX',
          ),
        ),
        runtime: uint64,
        deadline: uint64,
        period: uint64,
      },
      ['policy'],
    ),
    execCPUAffinity: object({ initial: processors, final: processors }),
  },
  ['args', 'cwd'],
);
