// gantry-shim: owns one process (src/runtime/shim-protocol.ts).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "complain.h"
#include "kernel.h"
#include "launcher/self.h"
#include "shim.h"

enum { GIVEN = 3 };

static bool read_all(int fd, void *to, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t length = read(fd, (uint8_t *)to + done, size - done);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return false;
    done += (size_t)length;
  }
  return true;
}

// The first frame of the first client.
static uint8_t *read_create(int client, struct frame *frame) {
  if (!read_all(client, frame, sizeof *frame) || frame->type != REQUEST_CREATE || frame->length > FRAME_MAX_CREATE) return NULL;
  uint8_t *payload = malloc((size_t)frame->length + 1);
  return payload != NULL && read_all(client, payload, frame->length) ? payload : NULL;
}

// Outlives whoever started it: a session of its own, no terminal, no stdio of theirs, deaf to signals meant for them.
static void stand_alone(void) {
  struct sigaction ignore = {.sa_handler = SIG_IGN}, by_default = {.sa_handler = SIG_DFL};
  const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGQUIT};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) sigaction(ignored[i], &ignore, NULL);
  sigaction(SIGCHLD, &by_default, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int i = 0; i < 3; i++) dup2(null, i);
  if (null > 2) close(null);
  if (chdir("/") < 0) complain("changing directory", "/");
  umask(022);
}

int main(int argc, char **argv) {
  static struct shim shim;
  bool spawner = argc == 2 && strcmp(argv[1], "--spawner") == 0;
  if (argc != (spawner ? 2 : 1) || fcntl(GIVEN, F_GETFD) < 0) {
    dprintf(2, "usage: gantry-shim [--spawner], with a socket as fd 3\n");
    return 2;
  }
  sys_close_range(GIVEN + 1, ~0U, 0);
  if (!run_from_read_only_mount(argv, "gantry-shim")) {
    complain("running from", "a read-only mount of itself");
    return 1;
  }
  fcntl(GIVEN, F_SETFD, FD_CLOEXEC);
  int client = spawner ? spawn_shims(GIVEN) : GIVEN;
  if (client < 0) return spawner ? 0 : 1;
  stand_alone();

  struct frame frame;
  struct failure failure;
  uint8_t *payload = read_create(client, &frame);
  if (payload == NULL) return 1;
  clients_init(&shim, client);
  struct client *first = &shim.clients[0];
  if (!setup(&shim, payload, frame.length, &failure) || !process_create(&shim, &failure)) {
    client_reply(first, frame.id, REPLY_ERROR, 0, &failure.packet, failure.length);
    return 1;
  }
  struct process_payload created = process_payload(&shim);
  client_reply(first, frame.id, REPLY_CREATED, 0, &created, sizeof created);
  loop(&shim);
  return 0;
}
