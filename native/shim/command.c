// The command mode: another OCI runtime makes the process, this shim adopts it. The create command sees what the plan's
// other operations make before it (the root filesystem, in a mount namespace of that command alone).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel.h"
#include "launcher/steps.h"
#include "shim.h"

enum { CANNOT_RUN = 127 };

// In the command's own process. False when an operation failed: the parent has been told.
static bool prepare(const struct plan *plan, int status) {
  struct steps steps;
  steps_init(&steps, plan);
  for (; steps.index < plan->count; steps.index++) {
    const struct plan_op *op = &plan->ops[steps.index];
    if (op->code == OP_COMMAND || step_run(&steps, op) == 0) continue;
    struct status_packet packet;
    status_send(status, &packet, status_error(&packet, (uint32_t)steps.index, op->code, errno, steps.detail));
    return false;
  }
  return true;
}

// Runs a command to its end, with what `before` (or NULL) prepares. Returns its exit code, 128 + signal, or -1 with
// errno; where preparing failed, `failure` says so.
static int run(const struct plan_arg *command, const int stdio[3], const struct plan *before, struct failure *failure) {
  int status[2], ended_with = 0;
  failure->length = 0;
  char **argv = plan_strings(command);
  if (argv == NULL) return -1;
  if (pipe2(status, O_CLOEXEC) < 0) {
    free(argv);
    return -1;
  }
  pid_t pid = fork();
  if (pid == 0) {
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    for (int i = 1; i < NSIG; i++) sigaction(i, &by_default, NULL);
    for (int i = 0; i < 3; i++) dup2(stdio[i], i);
    if (before != NULL && !prepare(before, status[1])) _exit(CANNOT_RUN);
    execvp(argv[0], argv);
    _exit(CANNOT_RUN);
  }
  close(status[1]);
  free(argv);
  pid_t ended = pid;
  while (pid > 0 && (ended = waitpid(pid, &ended_with, 0)) < 0 && errno == EINTR) continue;
  int error = errno;
  ssize_t length = read(status[0], &failure->packet, sizeof failure->packet);
  close(status[0]);
  errno = error;
  if (ended < 0) return -1;
  if (length >= STATUS_HEAD) failure->length = (size_t)length;
  return WIFSIGNALED(ended_with) ? 128 + WTERMSIG(ended_with) : WEXITSTATUS(ended_with);
}

static bool run_or_fail(const struct plan_arg *command, const int stdio[3], const struct plan *before, struct failure *failure) {
  int code = run(command, stdio, before, failure);
  if (code == 0) return true;
  if (code < 0) return fail(failure, errno, command->bytes);
  if (failure->length == 0)
    failure->length = status_error(&failure->packet, (uint32_t)STATUS_NO_INDEX, OP_COMMAND, code, command->bytes);
  return false;
}

static bool adopt(struct shim *shim, struct failure *failure) {
  const char *path = shim->command->args[2].bytes;
  char text[32];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(failure, errno, path);
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  text[length < 0 ? 0 : length] = 0;
  shim->pid = (pid_t)strtol(text, NULL, 10);
  if (shim->pid <= 1) return fail(failure, EINVAL, path);
  shim->pidfd = sys_pidfd_open(shim->pid);
  return shim->pidfd >= 0 || fail(failure, errno, path);
}

static int listen_for_console(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

// The runtime has connected, sent the pty's master and ended; so nothing here blocks.
static int receive_console(int listener) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  char name[4096];
  struct iovec part = {name, sizeof name};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  int master = -1;
  fcntl(listener, F_SETFL, O_NONBLOCK);
  int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (peer < 0) return -1;
  struct cmsghdr *header = recvmsg(peer, &message, MSG_CMSG_CLOEXEC) < 0 ? NULL : CMSG_FIRSTHDR(&message);
  if (header != NULL && header->cmsg_type == SCM_RIGHTS) memcpy(&master, CMSG_DATA(header), sizeof master);
  close(peer);
  return master;
}

// The command that makes the process: it has the process's stdio, or sends a terminal.
static bool make(struct shim *shim, const struct plan_arg *command, struct failure *failure) {
  const char *console = shim->command->args[3].bytes;
  int listener = shim->terminal ? listen_for_console(console) : -1;
  if (shim->terminal && listener < 0) return fail(failure, errno, console);
  bool made = run_or_fail(command, shim->child_stdio, &shim->plan, failure) && adopt(shim, failure);
  if (shim->terminal) {
    int master = made ? receive_console(listener) : -1;
    close(listener);
    unlink(console);
    if (made && master < 0) return fail(failure, errno, "the runtime sent no terminal");
    if (made) stdio_take_master(shim, master);
  }
  stdio_close_child_ends(shim);
  return made;
}

bool command_create(struct shim *shim, struct failure *failure) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) return fail(failure, errno, "becoming a subreaper");
  return shim->command->args[0].length == 0 || make(shim, &shim->command->args[0], failure);
}

bool command_start(struct shim *shim, struct failure *failure) {
  if (shim->command->args[0].length == 0) return make(shim, &shim->command->args[1], failure);
  if (shim->command->args[1].length == 0) return true;
  const int null[] = {0, 0, 0};
  return run_or_fail(&shim->command->args[1], null, NULL, failure);
}
