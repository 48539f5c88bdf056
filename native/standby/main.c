// gantry-standby SOCKET PROGRAM: keeps processes that have the command line loaded, for starters to hand commands to
// (native/standby.h). Fd 3 is the engine's pipe: with its end this process takes no more commands, and ends with the last.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "standby.h"

enum { ENGINE = 3, BACKLOG = 16 };
// Places in the poll set; two for each spare follow.
enum place { PIPE, LISTENER, SIGNALS, SPARES, PLACES = SPARES + 2 * MAX_SPARES };

long long now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static int complain(const char *what) {
  fprintf(stderr, "gantry-standby: %s: %s\n", what, strerror(errno));
  return 1;
}

// For root alone, from its first moment.
static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  unlink(path); // of an engine that is gone
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  umask(0177);
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, BACKLOG) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

static bool open_all(struct standby *standby, const char *socket_path) {
  sigset_t all;
  sigfillset(&all);
  for (int i = 0; i < MAX_SPARES; i++) standby->spares[i] = (struct spare){.control = -1, .connection = -1};
  sys_close_range(ENGINE + 1, ~0U, 0);
  fcntl(ENGINE, F_SETFD, FD_CLOEXEC);
  sigprocmask(SIG_BLOCK, &all, NULL);
  standby->engine = ENGINE;
  standby->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  standby->listener = listen_at(socket_path);
  umask(022);
  return standby->signals >= 0 && standby->listener >= 0 && chdir("/") == 0;
}

static void watch(const struct standby *standby, struct pollfd *fds) {
  fds[PIPE] = (struct pollfd){standby->ending ? -1 : standby->engine, POLLIN, 0};
  fds[LISTENER] = (struct pollfd){standby->listener, POLLIN, 0};
  fds[SIGNALS] = (struct pollfd){standby->signals, POLLIN, 0};
  for (int i = 0; i < MAX_SPARES; i++) {
    const struct spare *spare = &standby->spares[i];
    fds[SPARES + 2 * i] = (struct pollfd){spare->state == STARTING ? spare->control : -1, POLLIN, 0};
    fds[SPARES + 2 * i + 1] = (struct pollfd){spare->state == SERVING ? spare->connection : -1, POLLRDHUP, 0};
  }
}

static int timeout(const struct standby *standby, long long now) {
  long long next = standby->spawn_at;
  bool idle = spares_count(standby, READY) + spares_count(standby, STARTING) > 0;
  if (idle && (next == 0 || standby->keep_until < next)) next = standby->keep_until;
  return next == 0 ? -1 : next <= now ? 0 : (int)(next - now);
}

// The engine is gone: whoever runs goes on, nobody else is taken.
static void stop_serving(struct standby *standby) {
  standby->ending = true;
  close(standby->listener);
  standby->listener = -1;
  spares_retire(standby);
}

static void attend(struct standby *standby, const struct pollfd *fds) {
  struct signalfd_siginfo info;
  long long now = now_ms();
  if (fds[PIPE].revents != 0) stop_serving(standby);
  for (int i = 0; i < MAX_SPARES; i++) {
    struct spare *spare = &standby->spares[i];
    if (fds[SPARES + 2 * i].revents != 0 && spare->state == STARTING) {
      spare_started(spare);
      if (spare->state == READY) standby->spawn_at = now;
    }
    if (fds[SPARES + 2 * i + 1].revents != 0) spare_abandoned(spare);
  }
  while (read(standby->signals, &info, sizeof info) == sizeof info) continue;
  spares_reap(standby, now);
  if (fds[LISTENER].revents != 0 && standby->listener >= 0) serve_next(standby, now);
  if (now >= standby->keep_until) spares_retire(standby);
  if (standby->spawn_at != 0 && now >= standby->spawn_at) spares_spawn(standby, now);
}

int main(int argc, char **argv) {
  static struct standby standby;
  if (argc != 3 || fcntl(ENGINE, F_GETFD) < 0) {
    fputs("usage: gantry-standby SOCKET PROGRAM, with the engine's pipe as fd 3\n", stderr);
    return 2;
  }
  standby.program = argv[2];
  if (!open_all(&standby, argv[1])) return complain(argv[1]);
  struct pollfd fds[PLACES];
  while (!standby.ending || spares_count(&standby, FREE) < MAX_SPARES) {
    watch(&standby, fds);
    if (poll(fds, PLACES, timeout(&standby, now_ms())) < 0 && errno != EINTR) return complain("waiting");
    attend(&standby, fds);
  }
  return 0;
}
