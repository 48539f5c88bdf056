// SCMP_ACT_NOTIFY (runtime-spec: config-linux.md#containerprocessstate): the agent's socket is connected while the host's
// paths are still there, and gets the listener once the filter is loaded.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "steps.h"

enum { PID_TEXT = 16 };

int step_connect(struct steps *steps, const struct plan_arg *args) {
  int *slot = slot_of(steps, args[0].number);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (slot == NULL) return -1;
  if (args[1].length > sizeof address.sun_path) return step_fail(steps, ENAMETOOLONG, args[1].bytes);
  memcpy(address.sun_path, args[1].bytes, args[1].length);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    int error = errno;
    close(fd);
    return step_fail(steps, error, args[1].bytes);
  }
  *slot = fd;
  return 0;
}

// One message with the listener; the state's text around the pid.
static int send_listener(int agent, int listener, uint32_t number, const struct plan_arg *state) {
  char pid[PID_TEXT];
  int digits = snprintf(pid, sizeof pid, "%u", number);
  // The state holds its pid twice: the text between them is the same operation's.
  struct iovec parts[] = {
      {(void *)state[0].bytes, state[0].length - 1},
      {pid, (size_t)digits},
      {(void *)state[1].bytes, state[1].length - 1},
      {pid, (size_t)digits},
      {(void *)state[2].bytes, state[2].length - 1},
  };
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct msghdr message = {.msg_iov = parts,
                           .msg_iovlen = sizeof parts / sizeof *parts,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof listener);
  memcpy(CMSG_DATA(header), &listener, sizeof listener);
  return sendmsg(agent, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int step_seccomp_notify(struct steps *steps, const struct plan_arg *args) {
  int *slot = slot_of(steps, args[2].number);
  if (slot == NULL) return -1;
  struct sock_fprog program = {
      .len = (unsigned short)(args[1].length / sizeof(struct sock_filter)),
      .filter = (void *)args[1].bytes,
  };
  int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, args[0].number | SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  if (listener < 0) return -1;
  if (send_listener(*slot, listener, steps->host_pid, &args[3]) < 0) return step_fail(steps, errno, "sending the listener");
  // Both are closed at exec; a close of our own might be one of the calls that ask the agent.
  return 0;
}
