// Carries out a plan (src/runtime/plan.ts). launch.c is the parent's side, child.c the child's; steps.h lists what the
// operations do, by file.
#pragma once
#include <sys/types.h>

#include "plan.h"
#include "status.h"

enum { LAUNCH_SLOTS = 256 };

struct launched {
  pid_t pid;
  int pidfd;
  int status;  // the parent's end; -1 with a start fifo
  int master;  // of the pty, or -1
  struct status_packet failure;  // where launch() returned false
  size_t failure_length;
};

// Reads a plan; the bytes must live as long as it. False for bytes that are no plan, or out of memory.
bool plan_parse(const uint8_t *bytes, size_t length, struct plan *plan);

// Carries the plan out to its `ready`. `stdio` become the child's 0, 1 and 2. On false everything is undone, the child
// is reaped, and `failure` says why.
bool launch(const struct plan *plan, const int stdio[3], struct launched *launched);
