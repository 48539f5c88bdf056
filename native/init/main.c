// gantry-init COMMAND [ARGUMENT…]: PID 1 of a container (`--init`). Runs the command, forwards signals to it, reaps
// orphans, and ends as it does. fd 3 is the launcher's status channel: it hears why the command could not be run, or is
// closed when it runs.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "status.h"

enum { STATUS = 3, OP_EXEC = 76, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127, EXIT_BY_SIGNAL = 128 };

static void report(const char *command, int error) {
  struct status_packet packet;
  char detail[STATUS_DETAIL];
  bool is_path = strchr(command, '/') != NULL, is_there = is_path && access(command, F_OK) == 0;
  struct stat found;
  if (error == EACCES && stat(command, &found) == 0 && S_ISDIR(found.st_mode)) error = EISDIR;
  detail[0] = error == ENOENT && is_there ? 'i' : is_path ? 's' : 'p';
  strncpy(detail + 1, command, sizeof detail - 2);
  detail[sizeof detail - 1] = 0;
  size_t length = status_error(&packet, 0, OP_EXEC, error, detail);
  if (status_send(STATUS, &packet, length) < 0) _exit(EXIT_NOT_FOUND);
}

// The command leads a process group of its own, in the foreground of the terminal if there is one.
static void become_command(char **argv, const sigset_t *mask) {
  setpgid(0, 0);
  signal(SIGTTOU, SIG_IGN);
  tcsetpgrp(STDIN_FILENO, getpgrp());
  signal(SIGTTOU, SIG_DFL);
  sigprocmask(SIG_SETMASK, mask, NULL);
  fcntl(STATUS, F_SETFD, FD_CLOEXEC);
  execvp(argv[0], argv);
  int error = errno;
  report(argv[0], error);
  _exit(error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

// Reaps all that has ended. True with `code` when the command is among them.
static bool reap(pid_t command, int *code) {
  bool ended = false;
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != command) continue;
    *code = WIFSIGNALED(status) ? EXIT_BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
    ended = true;
  }
  return ended;
}

int main(int argc, char **argv) {
  sigset_t all, before;
  siginfo_t info;
  int code = EXIT_NOT_FOUND;
  if (argc < 2) return EXIT_NOT_FOUND;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);

  pid_t command = fork();
  if (command == 0) become_command(argv + 1, &before);
  if (command < 0) report(argv[1], errno);
  close(STATUS);
  while (command > 0 && !reap(command, &code))
    if (sigwaitinfo(&all, &info) > 0 && info.si_signo != SIGCHLD) kill(command, info.si_signo);
  return code;
}
