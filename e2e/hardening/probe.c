// What a hostile program inside a container would do, one deed per run; it prints what came of it.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

// call NR ARG…: a number, s:TEXT, or b:SIZE for a buffer of zeros. Prints 0 or the errno.
static int call(int argc, char **argv) {
  long args[6] = {0};
  for (int i = 1; i < argc && i <= 6; i++)
    args[i - 1] = strncmp(argv[i], "s:", 2) == 0   ? (long)(argv[i] + 2)
                  : strncmp(argv[i], "b:", 2) == 0 ? (long)calloc(1, strtoul(argv[i] + 2, NULL, 0))
                                                   : (long)strtoull(argv[i], NULL, 0);
  long result = syscall(strtol(argv[0], NULL, 0), args[0], args[1], args[2], args[3], args[4], args[5]);
  printf("%d\n", result < 0 ? errno : 0);
  return 0;
}

// fds: every open descriptor and where it leads, then the working directory.
static int fds(void) {
  DIR *listed = opendir("/proc/self/fd");
  if (listed == NULL) return 1;
  for (struct dirent *entry = readdir(listed); entry != NULL; entry = readdir(listed)) {
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(listed)) continue;
    char path[300], target[4096];
    snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
    ssize_t length = readlink(path, target, sizeof target);
    printf("%s %.*s\n", entry->d_name, (int)(length < 0 ? 0 : length), target);
  }
  char here[4096];
  printf("cwd %s\n", getcwd(here, sizeof here));
  return 0;
}

// chase PATH: waits for another process whose program is at PATH, keeps a handle on the program, and when the process has
// ended tries to write to it. Prints whether its mount is read-only, and what the attempt gave.
static int chase(const char *wanted) {
  puts("chasing");
  fflush(stdout);
  for (;;) {
    DIR *all = opendir("/proc");
    if (all == NULL) return 1;
    for (struct dirent *entry = readdir(all); entry != NULL; entry = readdir(all)) {
      int pid = atoi(entry->d_name);
      char path[64], target[4096] = {0};
      if (pid <= 0 || pid == getpid()) continue;
      snprintf(path, sizeof path, "/proc/%d/exe", pid);
      if (readlink(path, target, sizeof target - 1) < 0 || strcmp(target, wanted) != 0) continue;
      int handle = open(path, O_PATH);
      if (handle < 0) continue;
      while (kill(pid, 0) == 0) usleep(1000);
      snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
      int error = open(path, O_WRONLY) < 0 ? errno : 0;
      struct statvfs mount;
      bool read_only = fstatvfs(handle, &mount) == 0 && (mount.f_flag & ST_RDONLY) != 0;
      printf("%s %s\n", read_only ? "read-only" : "writable", strerror(error));
      return 0;
    }
    closedir(all);
  }
}

// swap A B: exchanges two names, as fast as it can, for ever.
static int swap(const char *a, const char *b) {
  puts("swapping");
  fflush(stdout);
  for (;;)
    if (syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* RENAME_EXCHANGE */) < 0) return 1;
}

// connect NAME: connects to an abstract socket, asks for a shim as the engine would (with a plan of nothing, so that one
// that listens answers), and prints the errno and how much came back.
static int connect_to(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path + 1, name, strlen(name));
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, length) < 0) {
    printf("%d\n", errno);
    return 0;
  }
  char bytes[4096];
  const char create[] = {0, 0, 0, 0, 1, 0, 1, 0};  // native/shim/frames.h: length, type, stream, id
  if (send(fd, create, sizeof create, MSG_NOSIGNAL) < 0) errno = 0;
  ssize_t got = recv(fd, bytes, sizeof bytes, 0);
  printf("0 %zd\n", got < 0 ? 0 : got);
  return 0;
}

// filtered FILE: loads a seccomp filter, then makes the calls that stdin lists (number and six arguments a line) and
// prints the errno of each, 0 where there was none.
static int filtered(const char *path) {
  static struct sock_filter program[4096];
  int fd = open(path, O_RDONLY);
  ssize_t length = read(fd, program, sizeof program);
  struct sock_fprog filter = {.len = (unsigned short)(length / (ssize_t)sizeof *program), .filter = program};
  if (length <= 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0) {
    perror("seccomp");
    return 1;
  }
  unsigned long long n, a[6];
  while (scanf("%llu %llu %llu %llu %llu %llu %llu", &n, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5]) == 7)
    printf("%d\n", syscall((long)n, a[0], a[1], a[2], a[3], a[4], a[5]) < 0 ? errno : 0);
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "call") == 0) return call(argc - 2, argv + 2);
  if (argc > 1 && strcmp(argv[1], "fds") == 0) return fds();
  if (argc > 2 && strcmp(argv[1], "chase") == 0) return chase(argv[2]);
  if (argc > 3 && strcmp(argv[1], "swap") == 0) return swap(argv[2], argv[3]);
  if (argc > 2 && strcmp(argv[1], "connect") == 0) return connect_to(argv[2]);
  if (argc > 2 && strcmp(argv[1], "filtered") == 0) return filtered(argv[2]);
  return 2;
}
