#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kernel.h"
#include "steps.h"

static int write_map(pid_t pid, const char *name, const struct plan_arg *map) {
  char path[48];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  ssize_t written = fd < 0 ? -1 : write(fd, map->bytes, map->length - 1);
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return written == (ssize_t)map->length - 1 ? 0 : -1;
}

static int open_namespace(pid_t pid) {
  char path[48];
  snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
  return open(path, O_RDONLY | O_CLOEXEC);
}

// A namespace lives by the fd of it alone: the process it was made with is gone at the end.
int step_user_namespace(struct steps *steps, const struct plan_arg *args) {
  int *slot = slot_of(steps, args[0].number), pidfd;
  struct clone_args clone = {.flags = CLONE_NEWUSER | CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
  pid_t pid = slot == NULL ? -1 : sys_clone3(&clone);
  if (pid == 0)
    for (;;) pause();
  if (pid < 0) return -1;
  const char *about = "";
  int fd = -1;
  if (write_map(pid, "uid_map", &args[1]) < 0)
    about = args[1].bytes;
  else if (write_map(pid, "gid_map", &args[2]) < 0)
    about = args[2].bytes;
  else
    fd = open_namespace(pid);
  int error = errno;
  sys_pidfd_send_signal(pidfd, SIGKILL);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
  close(pidfd);
  if (fd < 0) return step_fail(steps, error, about);
  *slot = fd;
  return 0;
}

int step_idmap(struct steps *steps, const struct plan_arg *args) {
  int *names = slot_of(steps, args[0].number);
  if (names == NULL) return -1;
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)*names};
  return sys_mount_setattr(steps->mount, args[1].number != 0 ? AT_RECURSIVE : 0, &attr);
}

// Whoever mounts an overlay is who acts on its layers; the change of ids must not cost the capabilities.
int step_fs_ids(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  int bits = prctl(PR_GET_SECUREBITS);
  if (bits < 0 || prctl(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP) < 0) return -1;
  gid_t gid = (gid_t)args[1].number;
  uid_t uid = (uid_t)args[0].number;
  setfsgid(gid);
  setfsuid(uid);
  // They tell no failure; asking again tells what holds.
  bool done = (gid_t)setfsgid(gid) == gid && (uid_t)setfsuid(uid) == uid;
  if (prctl(PR_SET_SECUREBITS, bits) < 0) return -1;
  if (!done) errno = EPERM;
  return done ? 0 : -1;
}
