// The plan's operations and its decoder. src/runtime/plan.ts explains the encoding and every operation;
// src/runtime/plan.test.ts compares the two tables.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// name, code, signature (n number, s string, b bytes, l list of strings)
#define PLAN_OPERATIONS(X)                \
  X(DIRECTORY, 1, "s")                    \
  X(STDIO, 2, "nn")                       \
  X(LOG, 3, "snns")                        \
  X(PATIENCE, 4, "nn")                    \
  X(OOM_EVENTS, 5, "s")                   \
  X(COMMAND, 6, "llss")                   \
  X(SYNC_EXIT, 7, "")                     \
  X(START_FIFO, 20, "s")                  \
  X(CONSOLE_SOCKET, 21, "s")              \
  X(FOREGROUND, 22, "")                   \
  X(OPEN, 30, "nsn")                      \
  X(PIDFD, 31, "nnn")                     \
  X(SETNS, 32, "nn")                      \
  X(CLONE, 33, "nn")                      \
  X(WRITE, 34, "sb")                      \
  X(UNSHARE, 35, "n")                     \
  X(PROPAGATION, 36, "n")                 \
  X(HELPER, 37, "")                       \
  X(USER_NAMESPACE, 38, "nss")            \
  X(FSOPEN, 40, "s")                      \
  X(FSCONFIG, 41, "nss")                  \
  X(FSMOUNT, 42, "n")                     \
  X(OPEN_TREE, 43, "sn")                  \
  X(SETATTR, 44, "nnnn")                  \
  X(ROOT, 45, "sn")                       \
  X(ATTACH, 46, "sn")                     \
  X(SYMLINK, 47, "ss")                    \
  X(NODE, 48, "snnnn")                    \
  X(MKDIR, 49, "snnn")                    \
  X(MASK, 50, "s")                        \
  X(READONLY, 51, "s")                    \
  X(ROOT_ATTR, 52, "nn")                  \
  X(PATH_ATTR, 53, "snnnn")               \
  X(HOSTNAME, 54, "s")                    \
  X(DOMAINNAME, 55, "s")                  \
  X(PIVOT, 56, "")                        \
  X(CHROOT, 57, "")                       \
  X(SESSION, 60, "")                      \
  X(CONSOLE, 61, "nnnn")                  \
  X(STDIO_OWNER, 62, "n")                 \
  X(RLIMIT, 63, "nnn")                    \
  X(CWD, 64, "s")                         \
  X(READY, 65, "")                        \
  X(UMASK, 66, "n")                       \
  X(BOUNDING, 67, "n")                    \
  X(KEEP_CAPS, 68, "")                    \
  X(GROUPS, 69, "b")                      \
  X(IDS, 70, "nn")                        \
  X(CAPSET, 71, "nnn")                    \
  X(AMBIENT, 72, "n")                     \
  X(NO_NEW_PRIVILEGES, 73, "")            \
  X(SECCOMP, 74, "nb")                    \
  X(CLOSE_FDS, 75, "n")                   \
  X(EXEC, 76, "llln")                     \
  X(LOOKUP, 77, "ls")                     \
  X(KEYRING, 78, "s")                     \
  X(LAYER, 80, "ss")                      \
  X(FSPICK, 81, "s")                      \
  X(COPY_UP, 82, "s")                     \
  X(DEVICE_TREE, 83, "snn")               \
  X(RUNTIME_HOOK, 84, "sllnss")           \
  X(MEET, 85, "")                         \
  X(HOOK, 86, "sllnss")                   \
  X(CONNECT, 87, "ns")                    \
  X(SECCOMP_NOTIFY, 88, "nbnsss")         \
  X(SCHEDULER, 89, "b")                   \
  X(IO_PRIORITY, 90, "n")                 \
  X(AFFINITY, 91, "b")                    \
  X(PERSONALITY, 92, "n")                 \
  X(MEMORY_POLICY, 93, "nb")              \
  X(WRITE_SLOT, 94, "nb")                 \
  X(HOLD, 95, "n")                        \
  X(TAKE, 96, "n")                        \
  X(IDMAP, 97, "nn")                      \
  X(FS_IDS, 98, "nn")

enum plan_code {
#define X(name, code, signature) OP_##name = code,
  PLAN_OPERATIONS(X)
#undef X
};

enum { PLAN_MAX_ARGS = 6, PLAN_MAX_OPS = 65536 };

struct plan_arg {
  uint64_t number;
  const char *bytes;  // strings end with NUL; so does every string of a list
  uint32_t length;    // with the NULs
};

struct plan_op {
  uint16_t code;
  struct plan_arg args[PLAN_MAX_ARGS];
};

struct plan {
  size_t count;
  struct plan_op *ops;
};

// How many operations the header announces; -1 where it is no plan or too large.
long plan_count(const uint8_t *bytes, size_t length);

// Decodes into `plan->ops`, which has room for plan_count() operations. Pure: reads `bytes`, allocates nothing, follows
// no pointer. The result points into `bytes`. False for anything that is not exactly a plan.
bool plan_decode(const uint8_t *bytes, size_t length, struct plan *plan);

// The first operation with a code, or NULL.
const struct plan_op *plan_find(const struct plan *plan, enum plan_code code);

// The next string of a list after `at` (NULL: the first), or NULL at its end.
const char *plan_next(const struct plan_arg *list, const char *at);

// A list as argv: NULL-terminated, allocated. NULL when out of memory.
char **plan_strings(const struct plan_arg *list);
