// The floor: the system calls that no container start can do without, and nothing else. Usage: floor LOWER UPPER WORK PROGRAM
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char stack[64 * 1024];

static void must(long result, const char *what) {
  if (result >= 0) return;
  perror(what);
  _exit(125);
}

static int child(void *data) {
  char **argv = data, options[4096];
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s,volatile", argv[1], argv[2], argv[3]);
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
  must(mount("overlay", argv[1], "overlay", 0, options), "overlay");
  must(chdir(argv[1]), "chdir");
  must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
  must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  must(umount2(".", MNT_DETACH), "umount");
  must(chdir("/"), "chdir");
  execl(argv[4], argv[4], NULL);
  must(-1, argv[4]);
  return 125;
}

int main(int argc, char **argv) {
  if (argc != 5) return 125;
  int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | SIGCHLD;
  int pid = clone(child, stack + sizeof stack, flags, argv), status;
  must(pid, "clone");
  must(waitpid(pid, &status, 0), "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
