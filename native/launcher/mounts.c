#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "kernel.h"
#include "steps.h"

enum attach_kind { ATTACH_DIRECTORY, ATTACH_AS_SOURCE, ATTACH_NO_LINKS, ATTACH_IN_PROC };
enum { PROC_MAGIC = 0x9fa0, PROC_ROOT_INODE = 1 };

static int close_keeping_errno(int fd) {
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return -1;
}

// The new current mount.
static int set_mount(struct steps *steps, int mount) {
  if (mount < 0) return -1;
  if (steps->mount >= 0) close(steps->mount);
  steps->mount = mount;
  return 0;
}

// A filesystem context keeps a log of what it did not like (fsopen(2)); its last line becomes the detail.
static int fail_with_log(struct steps *steps, int error, const char *about) {
  char line[256];
  ssize_t length = read(steps->fs, line, sizeof line - 1);
  if (length <= 0) return step_fail(steps, error, about);
  line[length] = 0;
  char *end = strchr(line, '\n');
  if (end != NULL) *end = 0;
  return step_fail(steps, error, line);
}

int step_fsopen(struct steps *steps, const struct plan_arg *args) {
  int fs = sys_fsopen(args[0].bytes);
  if (fs < 0) return step_fail(steps, errno, args[0].bytes);
  if (steps->fs >= 0) close(steps->fs);
  steps->fs = fs;
  return 0;
}

int step_fspick(struct steps *steps, const struct plan_arg *args) {
  int target = in_root_open(steps, args[0].bytes, O_PATH, LINKS_INSIDE);
  int fs = target < 0 ? -1 : sys_fspick(target);
  close_keeping_errno(target);
  if (fs < 0) return step_fail(steps, errno, args[0].bytes);
  if (steps->fs >= 0) close(steps->fs);
  steps->fs = fs;
  return 0;
}

int step_fsconfig(struct steps *steps, const struct plan_arg *args) {
  unsigned command = (unsigned)args[0].number;
  bool has_value = command == FSCONFIG_SET_STRING, has_key = has_value || command == FSCONFIG_SET_FLAG;
  int result = sys_fsconfig(steps->fs, command, has_key ? args[1].bytes : NULL, has_value ? args[2].bytes : NULL, 0);
  return result < 0 ? fail_with_log(steps, errno, has_value ? args[2].bytes : args[1].bytes) : 0;
}

int step_layer(struct steps *steps, const struct plan_arg *args) {
  const char *path = args[1].bytes;
  int layer = openat(steps->mount, path[0] == 0 ? "." : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int result = layer < 0 ? -1 : sys_fsconfig(steps->fs, FSCONFIG_SET_FD, args[0].bytes, NULL, layer);
  if (result < 0) fail_with_log(steps, errno, path);
  close_keeping_errno(layer);
  return result;
}

int step_fsmount(struct steps *steps, const struct plan_arg *args) {
  int mount = sys_fsmount(steps->fs, (unsigned)args[0].number);
  if (mount < 0) return fail_with_log(steps, errno, "");
  close(steps->fs);
  steps->fs = -1;
  return set_mount(steps, mount);
}

static int open_tree(struct steps *steps, const char *path, unsigned flags) {
  int mount = sys_open_tree(AT_FDCWD, path, flags);
  return mount < 0 ? step_fail(steps, errno, path) : set_mount(steps, mount);
}

int step_open_tree(struct steps *steps, const struct plan_arg *args) {
  return open_tree(steps, args[0].bytes, args[1].number != 0 ? AT_RECURSIVE : 0);
}

// The node at a path of the host, if it is the device that is meant.
int step_device_tree(struct steps *steps, const struct plan_arg *args) {
  if (open_tree(steps, args[0].bytes, 0) < 0) return -1;
  struct stat found;
  if (fstat(steps->mount, &found) < 0) return -1;
  dev_t wanted = makedev((unsigned)(args[2].number >> 32), (unsigned)args[2].number);
  if ((found.st_mode & S_IFMT) == (mode_t)args[1].number && found.st_rdev == wanted) return 0;
  return step_fail(steps, ENXIO, args[0].bytes);
}

int step_hold(struct steps *steps, const struct plan_arg *args) {
  int *slot = slot_of(steps, args[0].number);
  if (slot == NULL) return -1;
  *slot = steps->mount;
  steps->mount = -1;
  return 0;
}

int step_take(struct steps *steps, const struct plan_arg *args) {
  int *slot = slot_of(steps, args[0].number);
  if (slot == NULL || set_mount(steps, *slot) < 0) return -1;
  *slot = -1;
  return 0;
}

int step_setattr(struct steps *steps, const struct plan_arg *args) {
  struct mount_attr attr = {.attr_set = args[1].number, .attr_clr = args[2].number, .propagation = args[3].number};
  return sys_mount_setattr(steps->mount, args[0].number != 0 ? AT_RECURSIVE : 0, &attr);
}

// Mounted over /, which for this process still is what it was: host paths work until the pivot.
int step_root(struct steps *steps, const struct plan_arg *args) {
  int *slot = args[1].number == 0 ? NULL : slot_of(steps, args[1].number - 1);
  if (args[1].number != 0 && slot == NULL) return -1;
  int result = slot == NULL ? sys_move_mount(steps->mount, AT_FDCWD, args[0].bytes, 0)
                            : sys_move_mount(steps->mount, *slot, "", MOVE_MOUNT_T_EMPTY_PATH);
  if (result < 0) return step_fail(steps, errno, args[0].bytes);
  steps->root = steps->mount;
  steps->mount = -1;
  return 0;
}

static bool is_proc_root(int fd) {
  struct statfs fs;
  struct stat node;
  return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_MAGIC && fstat(fd, &node) == 0 && node.st_ino == PROC_ROOT_INODE;
}

// CVE-2019-16884, CVE-2025-52881: what is written to /proc must reach the kernel, so nothing is mounted over a part of it.
// Whatever links led there: the place is asked what it is. All of it may be covered by another /proc.
static bool shadows_proc(int mount, int target) {
  struct statfs place;
  return fstatfs(target, &place) == 0 && place.f_type == PROC_MAGIC && !(is_proc_root(target) && is_proc_root(mount));
}

int step_attach(struct steps *steps, const struct plan_arg *args) {
  const char *destination = args[0].bytes;
  enum attach_kind kind = (enum attach_kind)args[1].number;
  struct stat source;
  bool as_source = kind == ATTACH_AS_SOURCE || kind == ATTACH_IN_PROC;
  if (as_source && fstat(steps->mount, &source) < 0) return -1;
  int target = as_source && !S_ISDIR(source.st_mode)
                   ? in_root_file(steps, destination)
                   : in_root_directory(steps, destination, 0755, 0, 0, kind == ATTACH_NO_LINKS ? LINKS_REFUSED : LINKS_INSIDE);
  if (target < 0) return step_fail(steps, errno, destination);
  if (kind != ATTACH_IN_PROC && shadows_proc(steps->mount, target)) {
    close(target);
    return step_fail(steps, EPERM, destination);
  }
  if (sys_move_mount(steps->mount, target, "", MOVE_MOUNT_T_EMPTY_PATH) < 0) {
    close_keeping_errno(target);
    return step_fail(steps, errno, destination);
  }
  close(target);
  close(steps->mount);
  steps->mount = -1;
  return 0;
}

// A mount that hides a directory: a copy of one empty tmpfs.
static int empty_directory(struct steps *steps) {
  if (steps->empty >= 0) return sys_open_tree(steps->empty, "", AT_EMPTY_PATH);
  int fs = sys_fsopen("tmpfs");
  if (fs < 0) return -1;
  int mount = sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 || sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0
                  ? -1
                  : sys_fsmount(fs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  close_keeping_errno(fs);
  if (mount >= 0) steps->empty = fcntl(mount, F_DUPFD_CLOEXEC, 3);
  return mount;
}

int step_mask(struct steps *steps, const struct plan_arg *args) {
  int target = in_root_open(steps, args[0].bytes, O_PATH, LINKS_INSIDE);
  if (target < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : step_fail(steps, errno, args[0].bytes);
  struct stat found;
  int cover = -1;
  if (fstat(target, &found) == 0)
    cover = S_ISDIR(found.st_mode) ? empty_directory(steps) : sys_open_tree(AT_FDCWD, "/dev/null", 0);
  int result = cover < 0 ? -1 : sys_move_mount(cover, target, "", MOVE_MOUNT_T_EMPTY_PATH);
  close_keeping_errno(cover);
  close_keeping_errno(target);
  return result < 0 ? step_fail(steps, errno, args[0].bytes) : 0;
}

int step_readonly(struct steps *steps, const struct plan_arg *args) {
  int target = in_root_open(steps, args[0].bytes, O_PATH, LINKS_INSIDE);
  if (target < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : step_fail(steps, errno, args[0].bytes);
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
  int copy = sys_open_tree(target, "", AT_EMPTY_PATH | AT_RECURSIVE);
  int result = copy < 0 || sys_mount_setattr(copy, AT_RECURSIVE, &attr) < 0 ? -1 : sys_move_mount(copy, target, "", MOVE_MOUNT_T_EMPTY_PATH);
  close_keeping_errno(copy);
  close_keeping_errno(target);
  return result < 0 ? step_fail(steps, errno, args[0].bytes) : 0;
}

int step_root_attr(struct steps *steps, const struct plan_arg *args) {
  struct mount_attr attr = {.attr_set = args[0].number, .propagation = args[1].number};
  return sys_mount_setattr(steps->root, 0, &attr);
}

int step_path_attr(struct steps *steps, const struct plan_arg *args) {
  struct mount_attr attr = {.attr_set = args[2].number, .attr_clr = args[3].number, .propagation = args[4].number};
  int target = in_root_open(steps, args[0].bytes, O_PATH, LINKS_INSIDE);
  int result = target < 0 ? -1 : sys_mount_setattr(target, args[1].number != 0 ? AT_RECURSIVE : 0, &attr);
  close_keeping_errno(target);
  return result < 0 ? step_fail(steps, errno, args[0].bytes) : 0;
}

// pivot_root(2)'s form without a put_old directory: the old root ends on top of the new one and is taken away. As a slave
// first, so that no unmount reaches the host.
int step_pivot(struct steps *steps, const struct plan_arg *args) {
  (void)args;
  int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (old < 0) return -1;
  bool done = fchdir(steps->root) == 0 && sys_pivot_root(".", ".") == 0 && fchdir(old) == 0 &&
              sys_propagation(".", MS_SLAVE | MS_REC) == 0 && sys_umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
  close_keeping_errno(old);
  return done ? 0 : -1;
}

// Where pivot_root(2) is not possible, on an initramfs: the root is moved over / already.
int step_chroot(struct steps *steps, const struct plan_arg *args) {
  (void)args;
  return fchdir(steps->root) == 0 && chroot(".") == 0 && chdir("/") == 0 ? 0 : -1;
}
