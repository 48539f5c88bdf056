// gantry-launcher PLAN RESULT: carries out the plan in the file PLAN with its own stdio, and writes to the fd RESULT either
// `u32 1, u32 pid, u64 start time` when the process waits for its start, or an error (src/runtime/launch-error.ts). Then it
// ends, and leaves the process to whoever reaps; with `foreground` it stays, forwards signals, serves the process's terminal,
// unless that goes to a console socket, and ends as the process does.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "foreground.h"
#include "launcher/launcher.h"
#include "launcher/process-time.h"
#include "launcher/self.h"
#include "send-console.h"

enum { EXIT_LAUNCH = 125 };

static uint8_t *read_file(const char *path, size_t *length) {
  struct stat found;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &found) < 0) return NULL;
  *length = (size_t)found.st_size;
  uint8_t *bytes = malloc(*length + 1);
  ssize_t got = bytes == NULL ? -1 : read(fd, bytes, *length);
  close(fd);
  return got == found.st_size ? bytes : NULL;
}

static bool report(int result, const void *packet, size_t length) { return write(result, packet, length) == (ssize_t)length; }

// Returns the exit code of a launcher that failed. Where nobody hears why, stderr does.
static int failed(int result, const struct status_packet *packet, size_t length) {
  if (!report(result, packet, length)) dprintf(2, "gantry-launcher: operation %u: errno %u\n", packet->code, packet->error);
  return EXIT_LAUNCH;
}

static int report_error(int result, int error, const char *detail) {
  struct status_packet packet;
  return failed(result, &packet, status_error(&packet, (uint32_t)STATUS_NO_INDEX, 0, error, detail));
}

struct ready {
  uint32_t type, pid;
  uint64_t start_time;
};

int main(int argc, char **argv) {
  int result = argc == 3 ? atoi(argv[2]) : -1;
  if (argc != 3 || fcntl(result, F_GETFD) < 0) {
    dprintf(2, "usage: gantry-launcher PLAN RESULT-FD\n");
    return EXIT_LAUNCH;
  }
  if (!run_from_read_only_mount(argv, "gantry-launcher")) return report_error(result, errno, "running from a read-only mount");
  fcntl(result, F_SETFD, FD_CLOEXEC);

  size_t length;
  struct plan plan;
  uint8_t *bytes = read_file(argv[1], &length);
  if (bytes == NULL) return report_error(result, errno, argv[1]);
  if (!plan_parse(bytes, length, &plan)) return report_error(result, EINVAL, argv[1]);

  struct launched launched;
  const int stdio[] = {0, 1, 2};
  if (!launch(&plan, stdio, &launched)) return failed(result, &launched.failure, launched.failure_length);
  const struct plan_op *console = plan_find(&plan, OP_CONSOLE_SOCKET);
  bool stays = plan_find(&plan, OP_FOREGROUND) != NULL, terminal = launched.master >= 0 && console == NULL;
  if (terminal && !stays) {
    kill_launched(&launched);
    return report_error(result, EINVAL, "a terminal needs a console socket");
  }
  if (launched.master >= 0 && console != NULL && !send_console(console->args[0].bytes, launched.master)) {
    int error = errno;
    kill_launched(&launched);
    return report_error(result, error, console->args[0].bytes);
  }
  struct ready ready = {STATUS_READY, (uint32_t)launched.pid, process_start_time(launched.pid)};
  if (!report(result, &ready, sizeof ready)) {
    kill_launched(&launched);
    return EXIT_LAUNCH;
  }
  close(result);
  return stays ? foreground(&plan, &launched, terminal) : 0;
}
