#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "standby.h"

enum { TEXT = 8192 };

static int read_text(pid_t pid, const char *name, char text[TEXT]) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t length = read(fd, text, TEXT - 1);
  close(fd);
  text[length < 0 ? 0 : length] = 0;
  return length < 0 ? -1 : 0;
}

static bool same_file(pid_t ours, pid_t theirs, const char *name) {
  char path[64];
  struct stat a, b;
  snprintf(path, sizeof path, "/proc/%d/%s", ours, name);
  bool have = stat(path, &a) == 0;
  snprintf(path, sizeof path, "/proc/%d/%s", theirs, name);
  if (stat(path, &b) < 0) return !have && errno == ENOENT;
  return have && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// A security module's label; EINVAL where there is none.
static bool same_text(pid_t ours, pid_t theirs, const char *name) {
  static char a[TEXT], b[TEXT];
  int have = read_text(ours, name, a), has = read_text(theirs, name, b);
  return have == has && (have < 0 || strcmp(a, b) == 0);
}

// `name` begins with the end of the line before.
static bool same_line(const char *a, const char *b, const char *name) {
  const char *in_a = strstr(a, name), *in_b = strstr(b, name);
  if (in_a == NULL || in_b == NULL) return in_a == in_b;
  size_t length = strcspn(in_a + 1, "\n");
  return length == strcspn(in_b + 1, "\n") && strncmp(in_a + 1, in_b + 1, length) == 0;
}

static bool same_status(pid_t ours, pid_t theirs) {
  static const char *const lines[] = {
      "\nUid:",    "\nGid:",     "\nGroups:",     "\nCapInh:",  "\nCapPrm:",       "\nCapEff:",      "\nCapBnd:",
      "\nCapAmb:", "\nNoNewPrivs:", "\nSeccomp:", "\nCpus_allowed:", "\nMems_allowed:"};
  static char a[TEXT], b[TEXT];
  if (read_text(ours, "status", a) < 0 || read_text(theirs, "status", b) < 0) return false;
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    if (!same_line(a, b, lines[i])) return false;
  return true;
}

static bool same_limits(pid_t theirs) {
  for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
    struct rlimit a, b;
    if (prlimit(0, resource, NULL, &a) < 0 || prlimit(theirs, resource, NULL, &b) < 0) return false;
    // A runtime raises how many files it may open as far as it can when it starts: the engine's has, a command's would.
    if (a.rlim_max != b.rlim_max || (resource != RLIMIT_NOFILE && a.rlim_cur != b.rlim_cur)) return false;
  }
  return true;
}

static bool same_scheduling(pid_t theirs) {
  return getpriority(PRIO_PROCESS, 0) == getpriority(PRIO_PROCESS, (id_t)theirs) &&
         sched_getscheduler(0) == sched_getscheduler(theirs);
}

bool same_circumstances(pid_t theirs) {
  static const char *const places[] = {"ns/mnt",    "ns/net",  "ns/pid", "ns/pid_for_children", "ns/user", "ns/uts",
                                       "ns/ipc",    "ns/cgroup", "ns/time", "ns/time_for_children", "root"};
  static const char *const texts[] = {"personality", "oom_score_adj", "attr/current"};
  pid_t ours = getpid();
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    if (!same_file(ours, theirs, places[i])) return false;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (!same_text(ours, theirs, texts[i])) return false;
  return same_status(ours, theirs) && same_limits(theirs) && same_scheduling(theirs);
}
