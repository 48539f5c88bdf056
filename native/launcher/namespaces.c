#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"
#include "process-time.h"
#include "steps.h"

int *slot_of(struct steps *steps, uint64_t number) {
  if (number < LAUNCH_SLOTS) return &steps->slots[number];
  errno = EINVAL;
  return NULL;
}

static int keep(int *slot, int fd) {
  if (fd < 0) return -1;
  if (*slot >= 0) close(*slot);
  *slot = fd;
  return 0;
}

int step_open(struct steps *steps, const struct plan_arg *args) {
  int *slot = slot_of(steps, args[0].number);
  if (slot == NULL) return -1;
  int fd = open(args[1].bytes, (int)args[2].number | O_CLOEXEC);
  return fd < 0 ? step_fail(steps, errno, args[1].bytes) : keep(slot, fd);
}

int step_pidfd(struct steps *steps, const struct plan_arg *args) {
  int *slot = slot_of(steps, args[0].number);
  if (slot == NULL || keep(slot, sys_pidfd_open((pid_t)args[1].number)) < 0) return -1;
  // The fd pins the process; only now is it worth asking whether it is the right one.
  uint64_t began = process_start_time((pid_t)args[1].number);
  if (began == args[2].number) return 0;
  errno = ESRCH;
  return -1;
}

int step_setns(struct steps *steps, const struct plan_arg *args) {
  int *slot = slot_of(steps, args[0].number);
  if (slot == NULL || setns(*slot, (int)args[1].number) < 0) return -1;
  if ((args[1].number & CLONE_NEWNS) != 0) steps->root = -1;
  return 0;
}

int step_write(struct steps *steps, const struct plan_arg *args) {
  int fd = open(args[0].bytes, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return step_fail(steps, errno, args[0].bytes);
  ssize_t written = write(fd, args[1].bytes, args[1].length);
  int error = written < 0 ? errno : EIO;
  close(fd);
  return written == (ssize_t)args[1].length ? 0 : step_fail(steps, error, args[0].bytes);
}

int step_write_slot(struct steps *steps, const struct plan_arg *args) {
  int *slot = slot_of(steps, args[0].number);
  if (slot == NULL) return -1;
  ssize_t written = write(*slot, args[1].bytes, args[1].length);
  int error = written < 0 ? errno : EIO;
  close(*slot);
  *slot = -1;
  errno = error;
  return written == (ssize_t)args[1].length ? 0 : -1;
}

int step_unshare(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  return unshare((int)args[0].number);
}

int step_propagation(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  return sys_propagation("/", args[0].number);
}

int step_hostname(struct steps *steps, const struct plan_arg *args) {
  return sethostname(args[0].bytes, args[0].length - 1) < 0 ? step_fail(steps, errno, args[0].bytes) : 0;
}

int step_domainname(struct steps *steps, const struct plan_arg *args) {
  return setdomainname(args[0].bytes, args[0].length - 1) < 0 ? step_fail(steps, errno, args[0].bytes) : 0;
}
