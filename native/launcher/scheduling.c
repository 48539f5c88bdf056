// How the process runs: layouts and values are TypeScript's (src/runtime/scheduling-steps.ts).
#define _GNU_SOURCE
#include <sched.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"

enum { IOPRIO_WHO_PROCESS = 1 };

int step_scheduler(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  return (int)syscall(SYS_sched_setattr, 0, args[0].bytes, 0);
}

int step_io_priority(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  return (int)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, args[0].number);
}

int step_affinity(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  return (int)syscall(SYS_sched_setaffinity, 0, args[0].length, args[0].bytes);
}

int step_personality(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  return personality(args[0].number) < 0 ? -1 : 0;
}

int step_memory_policy(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  unsigned long nodes = args[1].length * 8UL;
  return (int)syscall(SYS_set_mempolicy, args[0].number, nodes == 0 ? NULL : args[1].bytes, nodes == 0 ? 0 : nodes + 1);
}
