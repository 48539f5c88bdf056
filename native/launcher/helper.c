// A child of another user namespace must be born in it, of a process that is there; and the parent must not go there. So a
// helper goes, clones the child for its own parent (CLONE_PARENT), says its pid and ends.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kernel.h"
#include "steps.h"

enum { EXIT_HELPER = 125 };

static _Noreturn void tell(int parent, const struct status_packet *packet, size_t length) {
  _exit(status_send(parent, packet, length) < 0 ? EXIT_HELPER : 0);
}

static _Noreturn void helper_run(struct steps *steps, const int stdio[3], int parent) {
  const int own[] = {0, 1, 2};
  struct status_packet packet;
  // CVE-2016-9962: whoever is in that namespace already may not look into this process.
  prctl(PR_SET_DUMPABLE, 0);
  int failed = take_stdio(stdio);
  const struct plan_op *op = NULL;
  for (; failed == 0 && steps->index + 1 < steps->plan->count; ) {
    op = &steps->plan->ops[++steps->index];
    if (op->code == OP_CLONE) break;
    failed = step_run(steps, op);
  }
  if (failed == 0 && (op == NULL || op->code != OP_CLONE)) failed = step_fail(steps, EINVAL, "the plan clones no process");
  int pidfd;
  pid_t pid = failed < 0 ? -1 : clone_process(steps, op, CLONE_PARENT, &pidfd);
  if (pid == 0) child_run(steps, steps->index + 1, own);
  if (pid < 0)
    tell(parent, &packet, status_error(&packet, (uint32_t)steps->index, op == NULL ? 0 : op->code, errno, steps->detail));
  packet = (struct status_packet){.type = STATUS_CLONED, .index = (uint32_t)pid};
  tell(parent, &packet, STATUS_HEAD);
}

int helper_clone(struct steps *steps, const int stdio[3], struct launched *launched) {
  int pair[2];
  struct status_packet *packet = &launched->failure;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -1;
  pid_t helper = fork();
  if (helper == 0) helper_run(steps, stdio, pair[1]);
  int error = errno;
  close(pair[1]);
  ssize_t length = helper < 0 ? -1 : recv(pair[0], packet, sizeof *packet, 0);
  close(pair[0]);
  while (helper > 0 && waitpid(helper, NULL, 0) < 0 && errno == EINTR) continue;
  errno = helper < 0 ? error : EIO;
  if (length < STATUS_HEAD) return -1;
  if (packet->type == STATUS_CLONED) {
    pid_t pid = (pid_t)packet->index;
    // It is a child of this process: no other can have its number before it is waited for.
    launched->pidfd = sys_pidfd_open(pid);
    if (launched->pidfd >= 0) return pid;
    error = errno;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    errno = error;
    return -1;
  }
  launched->failure_length = (size_t)length;
  return -1;
}
