#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "steps.h"

// Does `make` in the directory the path lies in; what exists already is left as it is.
#define IN_PARENT(steps, path, expression)                                \
  do {                                                                    \
    char name[NAME_MAX + 1];                                              \
    int parent = in_root_parent(steps, path, name);                       \
    if (parent < 0) return step_fail(steps, errno, path);                 \
    int result = (expression), error = errno;                             \
    close(parent);                                                        \
    return result < 0 && error != EEXIST ? step_fail(steps, error, path) : 0; \
  } while (0)

int step_symlink(struct steps *steps, const struct plan_arg *args) {
  IN_PARENT(steps, args[1].bytes, symlinkat(args[0].bytes, parent, name));
}

static int make_node(int parent, const char *name, const struct plan_arg *args) {
  mode_t mode = (mode_t)args[1].number;
  dev_t device = makedev((unsigned)(args[2].number >> 32), (unsigned)args[2].number);
  if (mknodat(parent, name, mode, device) < 0) {
    // What is there must be it (runtime-spec: config-linux.md#devices).
    struct stat found;
    if (errno != EEXIST || fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) < 0) return -1;
    if ((found.st_mode & S_IFMT) == (mode & S_IFMT) && found.st_rdev == device) return 0;
    errno = EBUSY;
    return -1;
  }
  return args[3].number == 0 && args[4].number == 0
             ? 0
             : fchownat(parent, name, (uid_t)args[3].number, (gid_t)args[4].number, AT_SYMLINK_NOFOLLOW);
}

int step_node(struct steps *steps, const struct plan_arg *args) {
  IN_PARENT(steps, args[0].bytes, make_node(parent, name, args));
}

int step_mkdir(struct steps *steps, const struct plan_arg *args) {
  int fd = in_root_directory(steps, args[0].bytes, (mode_t)args[1].number, (uid_t)args[2].number, (gid_t)args[3].number,
                             LINKS_INSIDE);
  return fd < 0 ? step_fail(steps, errno, args[0].bytes) : close(fd);
}
