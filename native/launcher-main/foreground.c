#define _GNU_SOURCE
#include "foreground.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kernel.h"

void kill_launched(struct launched *launched) {
  sys_pidfd_send_signal(launched->pidfd, SIGKILL);
  while (waitpid(launched->pid, NULL, 0) < 0 && errno == EINTR) continue;
}

// Says on stderr why exec failed, as a shell would.
static void start_now(int status) {
  struct status_packet packet = {0};
  if (send(status, "", 1, MSG_NOSIGNAL) != 1) return;
  if (recv(status, &packet, sizeof packet, 0) >= STATUS_HEAD) dprintf(2, "exec: %.*s: %s\n", STATUS_DETAIL - 1, packet.detail + 1, strerror((int)packet.error));
}

int foreground(const struct plan *plan, struct launched *launched) {
  sigset_t all;
  siginfo_t info;
  int status;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  if (plan_find(plan, OP_START_FIFO) == NULL) start_now(launched->status);
  for (;;) {
    pid_t ended = waitpid(launched->pid, &status, WNOHANG);
    if (ended == launched->pid) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (ended < 0 && errno != EINTR) return 255;
    if (sigwaitinfo(&all, &info) > 0 && info.si_signo != SIGCHLD) sys_pidfd_send_signal(launched->pidfd, info.si_signo);
  }
}
