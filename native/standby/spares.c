#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel.h"
#include "standby.h"

enum { CONTROL = 3, EXIT_CANNOT_RUN = 127 };

int spares_count(const struct standby *standby, enum spare_state state) {
  int count = 0;
  for (int i = 0; i < MAX_SPARES; i++) count += standby->spares[i].state == state;
  return count;
}

// In the child: nothing of ours but the socket, and an end where this process ends.
static _Noreturn void become_spare(const char *program, int control, pid_t parent) {
  struct sigaction by_default = {.sa_handler = SIG_DFL};
  sigset_t none;
  for (int i = 1; i < NSIG; i++) sigaction(i, &by_default, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(EXIT_CANNOT_RUN);
  if (control == CONTROL)
    fcntl(control, F_SETFD, 0);
  else
    dup2(control, CONTROL);
  sys_close_range(CONTROL + 1, ~0U, 0);
  char *argv[] = {(char *)"gantry", (char *)"--standby", NULL}, *environment[] = {NULL};
  execve(program, argv, environment);
  _exit(EXIT_CANNOT_RUN);
}

static void start(struct standby *standby, struct spare *spare) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return;
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) become_spare(standby->program, pair[1], parent);
  close(pair[1]);
  if (pid < 0)
    close(pair[0]);
  else
    *spare = (struct spare){.state = STARTING, .pid = pid, .control = pair[0], .connection = -1};
}

// One at a time: two would only slow each other down.
void spares_spawn(struct standby *standby, long long now) {
  if (standby->ending || now >= standby->keep_until || spares_count(standby, STARTING) > 0 ||
      spares_count(standby, READY) >= READY_SPARES) {
    standby->spawn_at = 0;
    return;
  }
  for (int i = 0; i < MAX_SPARES; i++)
    if (standby->spares[i].state == FREE) {
      start(standby, &standby->spares[i]);
      break;
    }
  standby->spawn_at = 0;
}

// It writes one byte when it has loaded all; its end is told by SIGCHLD.
void spare_started(struct spare *spare) {
  char ready;
  if (recv(spare->control, &ready, 1, MSG_DONTWAIT) == 1) {
    spare->state = READY;
    return;
  }
  kill(spare->pid, SIGKILL);
  close(spare->control);
  spare->control = -1;
}

// Its starter is gone, so the command ends, as it would have ended with it.
void spare_abandoned(struct spare *spare) {
  kill(spare->pid, SIGKILL);
  close(spare->connection);
  spare->connection = -1;
}

void spares_retire(struct standby *standby) {
  for (int i = 0; i < MAX_SPARES; i++) {
    struct spare *spare = &standby->spares[i];
    if (spare->state != STARTING && spare->state != READY) continue;
    kill(spare->pid, SIGKILL);
    if (spare->control >= 0) close(spare->control);
    spare->control = -1;
  }
}

static void tell_end(const struct spare *spare, int status) {
  struct standby_reply reply = {STANDBY_EXITED, (uint32_t)WEXITSTATUS(status)};
  if (WIFSIGNALED(status)) reply = (struct standby_reply){STANDBY_KILLED, (uint32_t)WTERMSIG(status)};
  send(spare->connection, &reply, sizeof reply, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void spares_reap(struct standby *standby, long long now) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    for (int i = 0; i < MAX_SPARES; i++) {
      struct spare *spare = &standby->spares[i];
      if (spare->state == FREE || spare->pid != pid) continue;
      // A program that cannot even start is not tried again before another command asks for it.
      standby->spawn_at = spare->state == STARTING ? 0 : now;
      if (spare->state == SERVING) standby->keep_until = now + KEEP_MS;
      if (spare->connection >= 0) {
        tell_end(spare, status);
        close(spare->connection);
      }
      if (spare->control >= 0) close(spare->control);
      *spare = (struct spare){.state = FREE, .connection = -1, .control = -1};
    }
}
