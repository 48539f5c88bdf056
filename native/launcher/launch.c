#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kernel.h"
#include "steps.h"

bool plan_parse(const uint8_t *bytes, size_t length, struct plan *plan) {
  long count = plan_count(bytes, length);
  if (count < 0) return false;
  plan->ops = calloc((size_t)count + 1, sizeof *plan->ops);
  return plan->ops != NULL && plan_decode(bytes, length, plan);
}

static bool fail(struct launched *launched, struct steps *steps, int error) {
  const struct plan *plan = steps->plan;
  uint32_t code = steps->index < plan->count ? plan->ops[steps->index].code : 0;
  launched->failure_length = status_error(&launched->failure, (uint32_t)steps->index, code, error, steps->detail);
  return false;
}

// One packet of the child, with the fd that may come along. Returns its length, 0 at the end.
static ssize_t receive(int status, struct status_packet *packet, int *fd) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec part = {packet, sizeof *packet};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t length;
  do length = recvmsg(status, &message, MSG_CMSG_CLOEXEC);
  while (length < 0 && errno == EINTR);
  struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  *fd = -1;
  if (header != NULL && header->cmsg_type == SCM_RIGHTS) memcpy(fd, CMSG_DATA(header), sizeof *fd);
  return length;
}

// Reads until the child is ready. False when it failed: `failure` is what it said, or how it ended.
static bool wait_ready(struct steps *steps, struct launched *launched) {
  for (;;) {
    int fd;
    struct status_packet packet;
    ssize_t length = receive(launched->status, &packet, &fd);
    if (length >= (ssize_t)sizeof packet.type && packet.type == STATUS_READY) return true;
    if (length >= (ssize_t)sizeof packet.type && packet.type == STATUS_CONSOLE) {
      launched->master = fd;
      continue;
    }
    if (length >= STATUS_HEAD && packet.type == STATUS_ERROR) {
      launched->failure = packet;
      launched->failure_length = (size_t)length;
      return false;
    }
    step_fail(steps, 0, "the process ended before it was ready; was it killed, or out of memory?");
    return fail(launched, steps, EIO);
  }
}

static void discard(struct launched *launched) {
  sys_pidfd_send_signal(launched->pidfd, SIGKILL);
  while (waitpid(launched->pid, NULL, 0) < 0 && errno == EINTR) continue;
  close(launched->pidfd);
  close(launched->status);
  if (launched->master >= 0) close(launched->master);
  launched->pidfd = launched->status = launched->master = -1;
}

static void close_slots(struct steps *steps) {
  for (int i = 0; i < LAUNCH_SLOTS; i++)
    if (steps->slots[i] >= 0) close(steps->slots[i]);
  if (steps->fifo >= 0) close(steps->fifo);
}

// The clone operation: the child goes on with the rest of the plan and does not come back.
static bool clone_child(struct steps *steps, const struct plan_op *op, const int stdio[3], struct launched *launched) {
  int pair[2];
  uint64_t cgroup = op->args[1].number;
  if (cgroup > LAUNCH_SLOTS) return fail(launched, steps, EINVAL);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return fail(launched, steps, errno);
  struct clone_args args = {
      .flags = op->args[0].number | CLONE_PIDFD | (cgroup > 0 ? CLONE_INTO_CGROUP : 0),
      .pidfd = (uintptr_t)&launched->pidfd,
      .exit_signal = SIGCHLD,
      .cgroup = cgroup > 0 ? (uint64_t)steps->slots[cgroup - 1] : 0,
  };
  launched->pid = sys_clone3(&args);
  if (launched->pid == 0) {
    steps->status = pair[1];
    child_run(steps, steps->index + 1, stdio);
  }
  int error = errno;
  close(pair[1]);
  launched->status = pair[0];
  if (launched->pid > 0) return true;
  close(pair[0]);
  return fail(launched, steps, error);
}

bool launch(const struct plan *plan, const int stdio[3], struct launched *launched) {
  struct steps steps;
  steps_init(&steps, plan);
  *launched = (struct launched){.pid = -1, .pidfd = -1, .status = -1, .master = -1};
  const struct plan_op *fifo = plan_find(plan, OP_START_FIFO);
  if (fifo != NULL && (steps.fifo = open(fifo->args[0].bytes, O_PATH | O_CLOEXEC)) < 0) {
    step_fail(&steps, errno, fifo->args[0].bytes);
    return fail(launched, &steps, errno);
  }
  bool ok = false;
  for (; steps.index < plan->count; steps.index++) {
    const struct plan_op *op = &plan->ops[steps.index];
    if (op->code == OP_CLONE) {
      ok = clone_child(&steps, op, stdio, launched);
      break;
    }
    if (step_run(&steps, op) < 0) {
      fail(launched, &steps, errno);
      break;
    }
  }
  if (steps.index == plan->count) {
    step_fail(&steps, 0, "the plan clones no process");
    fail(launched, &steps, EINVAL);
  }
  if (ok && !(ok = wait_ready(&steps, launched))) discard(launched);
  close_slots(&steps);
  return ok;
}
