#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kernel.h"
#include "steps.h"

enum { FIRST_AFTER_STDIO = 3, EXIT_LAUNCH = 125 };

void child_report(struct steps *steps, int error) {
  struct status_packet packet;
  uint32_t code = steps->index < steps->plan->count ? steps->plan->ops[steps->index].code : 0;
  size_t length = status_error(&packet, (uint32_t)steps->index, code, error, steps->detail);
  // Where nobody is left to read it, the exit code still says that it failed.
  if (status_send(steps->status, &packet, length) < 0) _exit(EXIT_LAUNCH);
}

static _Noreturn void give_up(struct steps *steps) {
  child_report(steps, errno);
  _exit(EXIT_LAUNCH);
}

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

// Closes what the parent had open and this process has no use for, so that no end of the parent's pipes stays open here.
static void close_foreign(struct steps *steps) {
  const struct plan_op *preserve = plan_find(steps->plan, OP_CLOSE_FDS);
  unsigned first = preserve == NULL ? FIRST_AFTER_STDIO : (unsigned)preserve->args[0].number;
  int keep[LAUNCH_SLOTS + 3], count = 0;
  for (int i = 0; i < LAUNCH_SLOTS; i++)
    if (steps->slots[i] >= 0) keep[count++] = steps->slots[i];
  keep[count++] = steps->status;
  keep[count++] = steps->fifo;
  keep[count++] = steps->proc_fds;
  qsort(keep, (size_t)count, sizeof *keep, by_number);
  for (int i = 0; i < count; i++) {
    if (keep[i] < (int)first) continue;
    if ((unsigned)keep[i] > first) sys_close_range(first, (unsigned)keep[i] - 1, 0);
    first = (unsigned)keep[i] + 1;
  }
  sys_close_range(first, ~0U, 0);
}

int take_stdio(const int stdio[3]) {
  for (int i = 0; i < 3; i++) {
    if (stdio[i] == i) continue;
    if (dup2(stdio[i], i) < 0) return -1;
  }
  return 0;
}

static void reset_signals(void) {
  struct sigaction by_default = {.sa_handler = SIG_DFL};
  for (int i = 1; i < NSIG; i++) sigaction(i, &by_default, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static ssize_t receive(struct steps *steps, void *bytes, size_t size) {
  ssize_t length;
  do length = read(steps->status, bytes, size);
  while (length < 0 && errno == EINTR);
  return length;
}

// Waits until the parent has run its hooks; it says by which pid it knows this process.
static int meet(struct steps *steps) {
  struct status_packet packet = {.type = STATUS_MEET};
  if (status_send(steps->status, &packet, sizeof packet.type) < 0) return -1;
  // The parent gave up: it tells why, not this process.
  if (receive(steps, &steps->host_pid, sizeof steps->host_pid) != sizeof steps->host_pid) _exit(EXIT_LAUNCH);
  return 0;
}

// Reports ready and blocks until the start.
static int wait_start(struct steps *steps) {
  struct status_packet ready = {.type = STATUS_READY};
  if (status_send(steps->status, &ready, sizeof ready.type) < 0) return -1;
  if (steps->fifo < 0) {
    char start;
    // The parent is gone: nobody will start this process.
    if (receive(steps, &start, 1) != 1) _exit(EXIT_LAUNCH);
    return 0;
  }
  char name[16];
  snprintf(name, sizeof name, "%d", steps->fifo);
  close(steps->status);
  do steps->status = openat(steps->proc_fds, name, O_WRONLY | O_CLOEXEC);
  while (steps->status < 0 && errno == EINTR);
  close(steps->proc_fds);
  close(steps->fifo);
  return steps->status < 0 ? -1 : 0;
}

_Noreturn void child_run(struct steps *steps, size_t first, const int stdio[3]) {
  steps->index = first;
  // CVE-2016-9962, CVE-2019-5736: nothing in the container may look into this process or reach its program through /proc.
  prctl(PR_SET_DUMPABLE, 0);
  reset_signals();
  umask(0);
  if (take_stdio(stdio) < 0) give_up(steps);
  if (steps->fifo >= 0 && (steps->proc_fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) give_up(steps);
  close_foreign(steps);
  for (; steps->index < steps->plan->count; steps->index++) {
    const struct plan_op *op = &steps->plan->ops[steps->index];
    if (op->code == OP_EXEC) _exit(exec_run(steps, op));
    int result = op->code == OP_READY ? wait_start(steps) : op->code == OP_MEET ? meet(steps) : step_run(steps, op);
    if (result < 0) give_up(steps);
  }
  step_fail(steps, EINVAL, "the plan ends without exec");
  give_up(steps);
}
