#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "steps.h"

int step_cwd(struct steps *steps, const struct plan_arg *args) {
  int fd = in_root_open(steps, args[0].bytes, O_PATH | O_DIRECTORY, LINKS_INSIDE);
  if (fd < 0) return step_fail(steps, errno, args[0].bytes);
  int result = fchdir(fd), error = errno;
  close(fd);
  if (result < 0) return step_fail(steps, error, args[0].bytes);
  // CVE-2024-21626: a working directory outside the root has no path in it; the kernel marks it or fails.
  char here[PATH_MAX];
  if (getcwd(here, sizeof here) == NULL) return step_fail(steps, errno, args[0].bytes);
  return here[0] == '/' ? 0 : step_fail(steps, EXDEV, args[0].bytes);
}
