#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "kernel.h"
#include "steps.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
enum { DEVPTS_MAGIC = 0x1cd1 };
#define PTMX "/dev/pts/ptmx"

int step_session(struct steps *steps, const struct plan_arg *args) {
  (void)steps, (void)args;
  // A process that leads a session already is where it should be.
  return setsid() < 0 && errno != EPERM ? -1 : 0;
}

// The container's own ptmx. What the image or a process may have put there instead is refused.
static int open_ptmx(struct steps *steps) {
  int master = in_root_open(steps, PTMX, O_RDWR | O_NOCTTY, LINKS_REFUSED);
  if (master < 0) return -1;
  struct stat node;
  struct statfs fs;
  if (fstat(master, &node) == 0 && S_ISCHR(node.st_mode) && node.st_rdev == makedev(5, 2) && fstatfs(master, &fs) == 0 &&
      fs.f_type == DEVPTS_MAGIC)
    return master;
  close(master);
  errno = ENOTTY;
  return -1;
}

static int send_master(int status, int master) {
  struct status_packet packet = {.type = STATUS_CONSOLE};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct iovec part = {&packet, sizeof packet.type};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof master);
  memcpy(CMSG_DATA(header), &master, sizeof master);
  return sendmsg(status, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int bind_console(struct steps *steps, int terminal) {
  int mount = sys_open_tree(terminal, "", AT_EMPTY_PATH);
  int target = mount < 0 ? -1 : in_root_file(steps, "/dev/console");
  int result = target < 0 ? -1 : sys_move_mount(mount, target, "", MOVE_MOUNT_T_EMPTY_PATH);
  int error = errno;
  if (mount >= 0) close(mount);
  if (target >= 0) close(target);
  return result < 0 ? step_fail(steps, error, "/dev/console") : 0;
}

int step_console(struct steps *steps, const struct plan_arg *args) {
  int master = open_ptmx(steps);
  if (master < 0) return step_fail(steps, errno, PTMX);
  int unlocked = 0;
  if (ioctl(master, TIOCSPTLCK, &unlocked) < 0) return -1;
  // The peer by ioctl, never by its name: no path of the container is trusted.
  int terminal = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) return -1;
  struct winsize size = {.ws_row = (unsigned short)args[0].number, .ws_col = (unsigned short)args[1].number};
  if (size.ws_row != 0 && ioctl(terminal, TIOCSWINSZ, &size) < 0) return -1;
  if (fchown(terminal, (uid_t)args[2].number, (gid_t)-1) < 0) return -1;
  if (args[3].number != 0 && bind_console(steps, terminal) < 0) return -1;
  if (send_master(steps->status, master) < 0 || ioctl(terminal, TIOCSCTTY, 0) < 0) return -1;
  close(master);
  for (int i = 0; i < 3; i++)
    if (dup2(terminal, i) < 0) return -1;
  return close(terminal);
}

// So that a process that is not root can open /dev/stdout. What cannot be given away is usable as it is.
int step_stdio_owner(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  for (int i = 0; i < 3; i++) {
    struct stat found;
    if (fstat(i, &found) < 0) continue;
    bool null = S_ISCHR(found.st_mode) && found.st_rdev == makedev(1, 3);
    if (null || found.st_uid == (uid_t)args[0].number) continue;
    if (fchown(i, (uid_t)args[0].number, (gid_t)-1) < 0 && errno != EPERM && errno != EROFS && errno != EINVAL) return -1;
  }
  return 0;
}
