#define _GNU_SOURCE
#include "foreground.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kernel.h"
#include "relay.h"

enum { EXIT_UNKNOWN = 255 };

void kill_launched(struct launched *launched) {
  sys_pidfd_send_signal(launched->pidfd, SIGKILL);
  while (waitpid(launched->pid, NULL, 0) < 0 && errno == EINTR) continue;
}

void start_now(int status) {
  struct status_packet packet = {0};
  if (send(status, "", 1, MSG_NOSIGNAL) != 1) return;
  if (recv(status, &packet, sizeof packet, 0) < STATUS_HEAD) return;
  if (packet.code == OP_EXEC) dprintf(2, "exec: %.*s: %s\n", STATUS_DETAIL - 1, packet.detail + 1, strerror((int)packet.error));
  else dprintf(2, "gantry-launcher: operation %u (%.*s): %s\n", packet.code, STATUS_DETAIL, packet.detail, strerror((int)packet.error));
}

// Whether it has ended, and how.
static bool has_ended(const struct launched *launched, int *code) {
  int status;
  pid_t ended = waitpid(launched->pid, &status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return false;
  *code = ended < 0 ? EXIT_UNKNOWN : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

static void pass_on(const struct launched *launched, struct relay *relay, int signal) {
  if (signal == SIGCHLD) return;
  if (signal == SIGWINCH && relay != NULL) relay_resize(relay);
  else sys_pidfd_send_signal(launched->pidfd, signal);
}

int foreground(struct launched *launched, bool terminal) {
  sigset_t all;
  struct signalfd_siginfo info;
  struct relay relay;
  int code;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  int signals = signalfd(-1, &all, SFD_CLOEXEC);
  if (signals < 0) return EXIT_UNKNOWN;
  if (terminal) relay_open(&relay, launched->master);
  while (!has_ended(launched, &code)) {
    if (terminal) relay_until(&relay, signals);
    if (read(signals, &info, sizeof info) == sizeof info) pass_on(launched, terminal ? &relay : NULL, (int)info.ssi_signo);
  }
  if (terminal) relay_close(&relay);
  return code;
}
