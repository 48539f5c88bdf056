#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim.h"

enum { BACKLOG = 16 };

bool fail(struct failure *failure, int error, const char *detail) {
  failure->length = status_error(&failure->packet, (uint32_t)STATUS_NO_INDEX, 0, error, detail);
  return false;
}

static bool open_directory(struct shim *shim, struct failure *failure) {
  if (mkdir(shim->path, 0700) < 0 && errno != EEXIST) return fail(failure, errno, shim->path);
  shim->directory = open(shim->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (shim->directory < 0) return fail(failure, errno, shim->path);
  int said = openat(shim->directory, "shim.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (said < 0) return fail(failure, errno, "shim.log");
  dup2(said, 2);
  close(said);
  return true;
}

// shim.sock in the directory, reached through its fd: a socket's path has room for 107 bytes only.
static bool open_listener(struct shim *shim, struct failure *failure) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/shim.sock", shim->directory);
  unlinkat(shim->directory, "shim.sock", 0);
  shim->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  mode_t before = umask(0177);
  bool open = shim->listener >= 0 && bind(shim->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
              listen(shim->listener, BACKLOG) == 0;
  int error = errno;
  umask(before);
  return open || fail(failure, error, "shim.sock");
}

static bool read_settings(struct shim *shim, struct failure *failure) {
  const struct plan_op *directory = plan_find(&shim->plan, OP_DIRECTORY), *stdio = plan_find(&shim->plan, OP_STDIO);
  const struct plan_op *patience = plan_find(&shim->plan, OP_PATIENCE);
  if (directory == NULL || stdio == NULL || patience == NULL)
    return fail(failure, EINVAL, "a create request needs directory, stdio and patience");
  shim->path = directory->args[0].bytes;
  shim->terminal = stdio->args[0].number != 0;
  shim->stdin_mode = (enum stdin_mode)stdio->args[1].number;
  shim->drain_ms = (long long)patience->args[0].number;
  shim->stall_ms = (long long)patience->args[1].number;
  shim->command = plan_find(&shim->plan, OP_COMMAND);
  return true;
}

static bool open_log(struct shim *shim, struct failure *failure) {
  const struct plan_op *log = plan_find(&shim->plan, OP_LOG);
  if (log == NULL || log_open(&shim->log, log->args[0].bytes, log->args[1].number, log->args[2].number, log->args[3].bytes))
    return true;
  return fail(failure, errno, log->args[0].bytes);
}

static bool open_oom_events(struct shim *shim, struct failure *failure) {
  const struct plan_op *events = plan_find(&shim->plan, OP_OOM_EVENTS);
  if (events == NULL) return true;
  shim->oom_events = open(events->args[0].bytes, O_RDONLY | O_CLOEXEC);
  return shim->oom_events >= 0 || fail(failure, errno, events->args[0].bytes);
}

bool setup(struct shim *shim, const uint8_t *payload, size_t length, struct failure *failure) {
  shim->pidfd = shim->status = shim->master = shim->input = shim->output[1] = shim->output[2] = shim->oom_events = -1;
  for (int i = 0; i < 3; i++) shim->child_stdio[i] = -1;
  if (!plan_parse(payload, length, &shim->plan)) return fail(failure, EINVAL, "the create request holds no plan");
  return read_settings(shim, failure) && open_directory(shim, failure) && open_listener(shim, failure) &&
         open_log(shim, failure) && open_oom_events(shim, failure) && stdio_open(shim, failure);
}
