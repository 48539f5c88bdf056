#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "foreground.h"
#include "kernel.h"
#include "launcher/process-time.h"
#include "program.h"
#include "relay.h"
#include "send-console.h"

enum kind { GUARD = 1, LAUNCH = 2, HAND_OVER = 3, DONE = 4, ADOPT = 5, ROOTLESS = 6 };
enum { PACKET_SIZE = 1 << 16 };

static uint8_t *read_file(const char *path, size_t *length) {
  struct stat found;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &found) < 0) return NULL;
  *length = (size_t)found.st_size;
  uint8_t *bytes = malloc(*length + 1);
  ssize_t got = bytes == NULL ? -1 : read(fd, bytes, *length);
  close(fd);
  return got == found.st_size ? bytes : NULL;
}

static bool write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t written = write(fd, text, strlen(text));
  int error = errno;
  close(fd);
  errno = error;
  return written == (ssize_t)strlen(text);
}

static void answer_error(const struct control *control, int error, const char *detail) {
  struct status_packet packet;
  status_send(control->socket, &packet, status_error(&packet, (uint32_t)STATUS_NO_INDEX, 0, error, detail));
}

struct ready {
  uint32_t type, pid;
  uint64_t start_time;
};

static void answer_ready(const struct control *control) {
  const struct launched *launched = &control->launched;
  struct ready ready = {STATUS_READY, (uint32_t)launched->pid, process_start_time(launched->pid)};
  if (write(control->socket, &ready, sizeof ready) != sizeof ready) return;
}

static void give_up(struct control *control, int error, const char *detail) {
  kill_launched(&control->launched);
  control->launched.pid = -1;
  answer_error(control, error, detail);
}

static void launch_plan(struct control *control, const char *path) {
  size_t length;
  struct plan *plan = &control->plan;
  struct launched *launched = &control->launched;
  uint8_t *bytes = read_file(path, &length);
  if (bytes == NULL) return answer_error(control, errno, path);
  if (!plan_parse(bytes, length, plan)) return answer_error(control, EINVAL, path);
  const struct plan_op *preserved = plan_find(plan, OP_CLOSE_FDS);
  if (preserved != NULL) program_give((unsigned)preserved->args[0].number);
  const int stdio[] = {0, 1, 2};
  if (!launch(plan, stdio, launched)) {
    status_send(control->socket, &launched->failure, launched->failure_length);
    return;
  }
  const struct plan_op *console = plan_find(plan, OP_CONSOLE_SOCKET);
  bool stays = plan_find(plan, OP_FOREGROUND) != NULL;
  control->terminal = launched->master >= 0 && console == NULL;
  if (control->terminal && !stays) return give_up(control, EINVAL, "a terminal needs a console socket");
  if (launched->master >= 0 && console != NULL && !send_console(console->args[0].bytes, launched->master))
    return give_up(control, errno, console->args[0].bytes);
  if (control->terminal) relay_resize(&(struct relay){.master = launched->master});
  answer_ready(control);
  control->started = stays;
  if (stays) start_now(launched->status);
}

static void guard(struct control *control, const struct plan_arg *words) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  control->otherwise = *words;
}

// The list at `*at`, in bytes of its own, which live as long as we do.
static bool take_list(const uint8_t **at, const uint8_t *end, struct plan_arg *list) {
  uint32_t length;
  if (end - *at < 4) return false;
  memcpy(&length, *at, sizeof length);
  *at += sizeof length;
  if (length > (size_t)(end - *at) || (length > 0 && (*at)[length - 1] != 0)) return false;
  char *bytes = malloc(length + 1);
  if (bytes == NULL) return false;
  memcpy(bytes, *at, length);
  *list = (struct plan_arg){.length = length, .bytes = bytes};
  *at += length;
  return true;
}

static bool adopt(struct control *control, uint32_t pid) {
  if (pid == 0) return prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;
  control->launched = (struct launched){.pid = (pid_t)pid, .pidfd = sys_pidfd_open((pid_t)pid), .status = -1, .master = -1};
  return control->launched.pidfd >= 0;
}

// user_namespaces(7): without rights outside, a process can map its own user and group, once it has given up setgroups(2).
static void answer_rootless(const struct control *control) {
  char uids[32], gids[32];
  snprintf(uids, sizeof uids, "0 %u 1", geteuid());
  snprintf(gids, sizeof gids, "0 %u 1", getegid());
  // As /proc shows it: a program that may not be read owns not even its own files there.
  prctl(PR_SET_DUMPABLE, 1);
  bool done = unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_file("/proc/self/setgroups", "deny") &&
              write_file("/proc/self/uid_map", uids) && write_file("/proc/self/gid_map", gids) &&
              sys_propagation("/", MS_REC | MS_SLAVE) == 0;
  uint32_t error = done ? 0 : (uint32_t)errno;
  if (write(control->socket, &error, sizeof error) != sizeof error) return;
}

bool control_take(struct control *control) {
  static uint8_t packet[PACKET_SIZE];
  struct plan_arg first, second;
  uint32_t kind;
  ssize_t length;
  do length = recv(control->socket, packet, sizeof packet, 0);
  while (length < 0 && errno == EINTR);
  if (length < (ssize_t)sizeof kind) return false;
  memcpy(&kind, packet, sizeof kind);
  const uint8_t *at = packet + sizeof kind, *end = packet + length;
  switch (kind) {
    case GUARD:
      if (!take_list(&at, end, &first)) return false;
      guard(control, &first);
      return true;
    case LAUNCH:
      if (end == at || end[-1] != 0 || control->launched.pid > 0) return false;
      launch_plan(control, (const char *)at);
      return true;
    case HAND_OVER:
      if (control->launched.pid <= 0 || !take_list(&at, end, &first) || !take_list(&at, end, &second)) return false;
      control->remains = first;
      control->otherwise = second;
      control->handed_over = true;
      return true;
    case DONE:
      if (end - at != sizeof control->code) return false;
      memcpy(&control->code, at, sizeof control->code);
      control->done = true;
      return true;
    case ADOPT:
      if (end - at != sizeof kind || control->launched.pid > 0) return false;
      memcpy(&kind, at, sizeof kind);
      return adopt(control, kind);
    case ROOTLESS:
      answer_rootless(control);
      return true;
    default:
      return false;
  }
}

bool control_clear(const struct control *control) {
  const struct plan_arg *paths = &control->remains;
  if (paths->length == 0) return false;
  for (const char *path = plan_next(paths, NULL); path != NULL; path = plan_next(paths, path))
    if (remove(path) < 0 && errno != ENOENT) return false;
  return true;
}
