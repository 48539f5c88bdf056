#define _GNU_SOURCE
#include "relay.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel.h"
#include "standby.h"
#include "starter.h"

enum { EXIT_LOST = 125 };

// The set of a process's signals in /proc/PID/status, e.g. "SigCgt:".
static unsigned long long signals_of(pid_t pid, const char *which) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  text[length < 0 ? 0 : length] = 0;
  const char *found = strstr(text, which);
  return found == NULL ? 0 : strtoull(found + strlen(which), NULL, 16);
}

static bool holds(unsigned long long set, int signal) { return (set >> (signal - 1) & 1) != 0; }

// As the command itself would take it: by its handler; else not at all where our caller had it ignored; else by default.
static void pass(int spare, pid_t pid, int signal) {
  bool caught = holds(signals_of(pid, "SigCgt:"), signal);
  struct sigaction ours;
  if (!caught && sigaction(signal, NULL, &ours) == 0 && ours.sa_handler == SIG_IGN) return;
  bool stops = signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
  sys_pidfd_send_signal(spare, stops && !caught ? SIGSTOP : signal);
  if (stops && !caught) raise(SIGSTOP); // the SIGCONT that ends it is passed on next
}

void end_by(int signal) {
  sigset_t one;
  struct sigaction by_default = {.sa_handler = SIG_DFL};
  sigaction(signal, &by_default, NULL);
  sigemptyset(&one);
  sigaddset(&one, signal);
  raise(signal);
  sigprocmask(SIG_UNBLOCK, &one, NULL);
  _exit(128 + signal);
}

static _Noreturn void end(int connection) {
  struct standby_reply reply;
  ssize_t length = recv(connection, &reply, sizeof reply, MSG_WAITALL);
  if (length == sizeof reply && reply.type == STANDBY_EXITED) _exit((int)reply.value);
  if (length == sizeof reply && reply.type == STANDBY_KILLED) end_by((int)reply.value);
  fputs("gantry: the process that took this command is gone, with the engine's standby; whether it was done is not known\n", stderr);
  _exit(EXIT_LOST);
}

// Signals that tell this process about itself, or nothing by default.
static bool is_own(int signal) { return signal == SIGCHLD || signal == SIGURG || signal == SIGWINCH || signal == SIGPIPE; }

void relay(int connection, pid_t pid) {
  sigset_t all;
  sigfillset(&all);
  int spare = sys_pidfd_open(pid), signals = signalfd(-1, &all, SFD_CLOEXEC);
  if (spare < 0 || signals < 0 || send(connection, "", 1, MSG_NOSIGNAL) != 1) {
    if (spare >= 0) close(spare);
    if (signals >= 0) close(signals);
    return;
  }
  for (;;) {
    struct pollfd fds[] = {{connection, POLLIN, 0}, {signals, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[0].revents != 0) end(connection);
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) == sizeof info && !is_own((int)info.ssi_signo)) pass(spare, pid, (int)info.ssi_signo);
  }
}
