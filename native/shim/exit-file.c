#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"
#include "shim.h"

// memory.events (v2) and memory.oom_control (v1) both have a line `oom_kill N`.
bool oom_killed(const struct shim *shim) {
  char text[1024];
  if (shim->oom_events < 0) return false;
  ssize_t length = pread(shim->oom_events, text, sizeof text - 1, 0);
  if (length <= 0) return false;
  text[length] = 0;
  for (char *line = text; line != NULL; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (strncmp(line, "oom_kill ", 9) == 0) return strtoull(line + 9, NULL, 10) > 0;
  }
  return false;
}

// Whole or not at all, and there before anybody is told: whoever ends then finds it. Returns its fd, or -1.
int exit_file_write(struct shim *shim) {
  int fd = openat(shim->directory, "exit.json.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool written = fd >= 0 &&
                 dprintf(fd, "{\"code\":%d,\"signal\":%d,\"oom\":%s,\"at\":\"%s\"}\n", shim->exit_code, shim->exit_signal,
                         shim->out_of_memory ? "true" : "false", shim->exited_at) > 0 &&
                 renameat(shim->directory, "exit.json.tmp", shim->directory, "exit.json") == 0;
  if (!written) complain("writing", "exit.json");
  return fd;
}

// On disk where it is asked for, for the case that the whole host ends before an engine has recorded what it was told, or was there to be told.
void exit_file_sync(const struct shim *shim, int fd) {
  if (fd < 0) return;
  if (plan_find(&shim->plan, OP_SYNC_EXIT) != NULL && fsync(fd) < 0) complain("syncing", "exit.json");
  close(fd);
}
