#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel.h"
#include "steps.h"

enum { MAX_DEPTH = 40 };

// A name that is to be there, and how to make it.
struct wanted {
  bool directory;
  mode_t mode;
  uid_t uid;
  gid_t gid;
  enum in_root_links links;
};

static int root_of(struct steps *steps) {
  if (steps->root < 0) steps->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  return steps->root;
}

int in_root_open(struct steps *steps, const char *path, uint64_t flags, enum in_root_links links) {
  struct open_how how = {
      .flags = flags | O_CLOEXEC,
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (links == LINKS_REFUSED ? RESOLVE_NO_SYMLINKS : 0),
  };
  int root = root_of(steps), fd;
  if (root < 0) return -1;
  // EAGAIN: a rename or mount raced with a `..`; the kernel asks to try again.
  do fd = sys_openat2(root, path, &how);
  while (fd < 0 && (errno == EAGAIN || errno == EINTR));
  return fd;
}

static int ensure(struct steps *steps, const char *path, const struct wanted *wanted, int depth);

// Splits off the last name; `parent` gets the rest, or "/". False for a path without a usable last name.
static bool split(const char *path, char *parent, char *name) {
  size_t length = strlen(path);
  while (length > 0 && path[length - 1] == '/') length--;
  size_t start = length;
  while (start > 0 && path[start - 1] != '/') start--;
  size_t size = length - start;
  if (size == 0 || size > NAME_MAX || start + 1 >= PATH_MAX) return false;
  memcpy(name, path + start, size);
  name[size] = 0;
  if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
  snprintf(parent, PATH_MAX, "/%.*s", (int)start, path);
  return true;
}

static int parent_of(struct steps *steps, const char *path, char *name, const struct wanted *wanted, int depth) {
  char parent[PATH_MAX];
  if (!split(path, parent, name)) {
    errno = EINVAL;
    return -1;
  }
  struct wanted above = *wanted;
  above.directory = true;
  return ensure(steps, parent, &above, depth + 1);
}

static int make(int parent, const char *name, const struct wanted *wanted) {
  if (wanted->directory) {
    if (mkdirat(parent, name, wanted->mode) < 0) return -1;
    return wanted->uid == 0 && wanted->gid == 0 ? 0 : fchownat(parent, name, wanted->uid, wanted->gid, AT_SYMLINK_NOFOLLOW);
  }
  int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  return fd < 0 ? -1 : close(fd);
}

// Where a link that leads nowhere wants to lead, as a path of the root.
static bool link_target(int parent, const char *name, const char *path, char *target) {
  char link[PATH_MAX], above[PATH_MAX], last[NAME_MAX + 1];
  ssize_t length = readlinkat(parent, name, link, sizeof link - 1);
  if (length <= 0 || !split(path, above, last)) return false;
  link[length] = 0;
  int size = link[0] == '/' ? snprintf(target, PATH_MAX, "%s", link) : snprintf(target, PATH_MAX, "%s/%s", above, link);
  return size < PATH_MAX;
}

// Opens the path (O_PATH), making what is missing. A dangling link's target is made, inside the root.
static int ensure(struct steps *steps, const char *path, const struct wanted *wanted, int depth) {
  if (depth > MAX_DEPTH) {
    errno = ELOOP;
    return -1;
  }
  uint64_t flags = O_PATH | (wanted->directory ? O_DIRECTORY : 0);
  int fd = in_root_open(steps, path, flags, wanted->links);
  if (fd >= 0 || errno != ENOENT) return fd;
  char name[NAME_MAX + 1], target[PATH_MAX];
  int parent = parent_of(steps, path, name, wanted, depth);
  if (parent < 0) return -1;
  int made = make(parent, name, wanted), error = errno;
  if (made == 0 || error == EEXIST) fd = in_root_open(steps, path, flags, wanted->links);
  if (made < 0 && fd < 0) {
    if (error == EEXIST && wanted->links == LINKS_INSIDE && link_target(parent, name, path, target))
      fd = ensure(steps, target, wanted, depth + 1);
    else
      errno = error;
  }
  error = errno;
  close(parent);
  errno = error;
  return fd;
}

int in_root_directory(struct steps *steps, const char *path, mode_t mode, uid_t uid, gid_t gid, enum in_root_links links) {
  struct wanted wanted = {true, mode, uid, gid, links};
  return ensure(steps, path, &wanted, 0);
}

int in_root_file(struct steps *steps, const char *path) {
  struct wanted wanted = {false, 0755, 0, 0, LINKS_INSIDE};
  return ensure(steps, path, &wanted, 0);
}

int in_root_parent(struct steps *steps, const char *path, char *name) {
  struct wanted wanted = {true, 0755, 0, 0, LINKS_INSIDE};
  return parent_of(steps, path, name, &wanted, 0);
}
