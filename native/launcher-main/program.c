#define _GNU_SOURCE
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_AFTER_STDIO = 3, CONTROL = 4, EXIT_UNKNOWN = 255 };

extern char **environ;

void program_set_given_aside(struct program *program) {
  char text[16];
  int fd = FIRST_AFTER_STDIO;
  (void)program;
  while (fcntl(fd, F_GETFD) >= 0) fcntl(fd++, F_SETFD, FD_CLOEXEC);
  snprintf(text, sizeof text, "%d", fd - FIRST_AFTER_STDIO);
  setenv("GANTRY_GIVEN_FDS", text, 1);
}

void program_give(unsigned first) {
  for (unsigned fd = FIRST_AFTER_STDIO; fd < first; fd++) fcntl((int)fd, F_SETFD, 0);
}

static _Noreturn void run(char **words, int socket) {
  // Where we are killed, it must not go on alone.
  pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(EXIT_UNKNOWN);
  if (socket == CONTROL) fcntl(socket, F_SETFD, 0);
  if (socket >= 0 && socket != CONTROL) dup2(socket, CONTROL);
  execve(words[0], words, environ);
  _exit(EXIT_UNKNOWN);
}

bool program_start(struct program *program, int socket) {
  char text[16];
  if (access(program->words[0], X_OK) < 0) return false;
  snprintf(text, sizeof text, "%d", CONTROL);
  setenv("GANTRY_LAUNCHER", text, 1);
  program->pid = vfork();
  if (program->pid == 0) run(program->words, socket);
  close(socket);
  return program->pid > 0;
}

int program_wait(const struct program *program) {
  int status;
  while (waitpid(program->pid, &status, 0) < 0)
    if (errno != EINTR) return EXIT_UNKNOWN << 8;
  return status;
}

static void let_signals_through(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

int program_end(int status) {
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  signal(WTERMSIG(status), SIG_DFL);
  let_signals_through();
  raise(WTERMSIG(status));
  return 128 + WTERMSIG(status);
}

void program_again(const struct program *program, const struct plan_arg *words) {
  if (words->length == 0) return;
  char **given = plan_strings(words);
  size_t more = 0;
  while (given != NULL && given[more] != NULL) more++;
  char **all = calloc((size_t)program->own + more + 1, sizeof *all);
  if (given == NULL || all == NULL) return;
  memcpy(all, program->words, (size_t)program->own * sizeof *all);
  memcpy(all + program->own, given, more * sizeof *all);
  unsetenv("GANTRY_LAUNCHER");
  struct program again = {.words = all, .pid = fork()};
  if (again.pid == 0) {
    let_signals_through();
    run(all, -1);
  }
  if (again.pid > 0) program_wait(&again);
}
