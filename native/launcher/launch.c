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

// Runs the hooks of the runtime while the child waits, and tells it its pid.
static bool answer_meeting(struct steps *steps, struct launched *launched) {
  const struct plan *plan = steps->plan;
  uint32_t pid = (uint32_t)launched->pid;
  for (size_t i = 0; i < plan->count; i++) {
    if (plan->ops[i].code != OP_RUNTIME_HOOK || hook_run(steps, plan->ops[i].args, pid) == 0) continue;
    steps->index = i;
    return fail(launched, steps, errno);
  }
  return send(launched->status, &pid, sizeof pid, MSG_NOSIGNAL) == sizeof pid || fail(launched, steps, errno);
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
    if (length >= (ssize_t)sizeof packet.type && packet.type == STATUS_MEET) {
      if (!answer_meeting(steps, launched)) return false;
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

pid_t clone_process(const struct steps *steps, const struct plan_op *op, uint64_t more_flags, int *pidfd) {
  uint64_t cgroup = op->args[1].number;
  if (cgroup > LAUNCH_SLOTS) {
    errno = EINVAL;
    return -1;
  }
  struct clone_args args = {
      .flags = op->args[0].number | more_flags | CLONE_PIDFD | (cgroup > 0 ? CLONE_INTO_CGROUP : 0),
      .pidfd = (uintptr_t)pidfd,
      // clone3(2): with CLONE_PARENT it is as the caller's own.
      .exit_signal = (more_flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD,
      .cgroup = cgroup > 0 ? (uint64_t)steps->slots[cgroup - 1] : 0,
  };
  return sys_clone3(&args);
}

// The clone operation: the child goes on with the rest of the plan and does not come back.
static bool clone_child(struct steps *steps, const struct plan_op *op, const int stdio[3], struct launched *launched) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return fail(launched, steps, errno);
  steps->status = pair[1];
  launched->status = pair[0];
  if (op->code == OP_HELPER) {
    launched->pid = helper_clone(steps, stdio, launched);
  } else {
    launched->pid = clone_process(steps, op, 0, &launched->pidfd);
    if (launched->pid == 0) child_run(steps, steps->index + 1, stdio);
  }
  int error = errno;
  close(pair[1]);
  steps->status = -1;
  if (launched->pid > 0) return true;
  close(pair[0]);
  launched->status = -1;
  return launched->failure_length > 0 ? false : fail(launched, steps, error);
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
    if (op->code == OP_CLONE || op->code == OP_HELPER) {
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
