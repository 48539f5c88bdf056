// tmpcopyup: what the image has at a path, copied into the tmpfs that will cover it. Names are the image's: nothing follows
// a link, and what is no file, directory or link is made, never opened.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel.h"
#include "steps.h"

enum { MAX_DEPTH = 128, CHUNK = 1 << 20 };

static int copy_directory(int from, int to, int depth);

// Owner before mode: a change of owner takes the set-user-id bit away.
static int dress(int fd, const struct stat *as) {
  return fchown(fd, as->st_uid, as->st_gid) < 0 ? -1 : fchmod(fd, as->st_mode & 07777);
}

static int close_both(int a, int b, int result) {
  int error = errno;
  if (a >= 0) close(a);
  if (b >= 0) close(b);
  errno = error;
  return result;
}

static int copy_file(int from, int to, const char *name, const struct stat *found) {
  int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  int out = in < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  ssize_t length = out < 0 ? -1 : 1;
  while (length > 0) length = sendfile(out, in, NULL, CHUNK);
  return close_both(in, out, length < 0 ? -1 : dress(out, found));
}

static int copy_below(int from, int to, const char *name, const struct stat *found, int depth) {
  int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (in < 0 || (mkdirat(to, name, 0700) < 0 && errno != EEXIST)) return close_both(in, -1, -1);
  int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int result = out < 0 || copy_directory(in, out, depth + 1) < 0 ? -1 : dress(out, found);
  return close_both(in, out, result);
}

static int copy_other(int from, int to, const char *name, const struct stat *found) {
  char target[PATH_MAX];
  if (S_ISLNK(found->st_mode)) {
    ssize_t length = readlinkat(from, name, target, sizeof target - 1);
    if (length < 0) return -1;
    target[length] = 0;
    if (symlinkat(target, to, name) < 0) return -1;
  } else if (mknodat(to, name, found->st_mode, found->st_rdev) < 0) {
    return -1;
  }
  return fchownat(to, name, found->st_uid, found->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_entry(int from, int to, const char *name, int depth) {
  struct stat found;
  if (fstatat(from, name, &found, AT_SYMLINK_NOFOLLOW) < 0) return -1;
  if (S_ISREG(found.st_mode)) return copy_file(from, to, name, &found);
  return S_ISDIR(found.st_mode) ? copy_below(from, to, name, &found, depth) : copy_other(from, to, name, &found);
}

static int copy_directory(int from, int to, int depth) {
  if (depth > MAX_DEPTH) {
    errno = ELOOP;
    return -1;
  }
  int list = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = list < 0 ? NULL : fdopendir(list);
  if (entries == NULL) return close_both(list, -1, -1);
  int result = 0;
  for (struct dirent *entry; result == 0 && (errno = 0, entry = readdir(entries)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      result = copy_entry(from, to, entry->d_name, depth);
  if (result == 0 && errno != 0) result = -1;
  int error = errno;
  closedir(entries);
  errno = error;
  return result;
}

int step_copy_up(struct steps *steps, const struct plan_arg *args) {
  int from = in_root_open(steps, args[0].bytes, O_RDONLY | O_DIRECTORY, LINKS_INSIDE);
  if (from < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : step_fail(steps, errno, args[0].bytes);
  struct stat found;
  int to = openat(steps->mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int result = to < 0 || fstat(from, &found) < 0 || copy_directory(from, to, 0) < 0 ? -1 : dress(to, &found);
  int error = errno;
  close_both(from, to, result);
  return result < 0 ? step_fail(steps, error, args[0].bytes) : 0;
}
