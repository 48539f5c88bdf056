#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "complain.h"
#include "shim.h"

enum { BACKLOG = 128 };

// An abstract socket with a name of the kernel's choice (unix(7), autobind), which it writes to the engine.
static int listen_for(int engine) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socklen_t length = sizeof address;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) < 0 || listen(fd, BACKLOG) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &length) < 0)
    return -1;
  size_t name = length - offsetof(struct sockaddr_un, sun_path) - 1;
  return write(engine, address.sun_path + 1, name) == (ssize_t)name && write(engine, "\n", 1) == 1 ? fd : -1;
}

// An abstract name can be reached by all in this network namespace; only the engine is let in.
static bool is_engine(int client, pid_t engine) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid == engine && peer.uid == geteuid();
}

int spawn_shims(int engine) {
  pid_t parent = getppid();
  struct sigaction reap = {.sa_handler = SIG_IGN};
  sigaction(SIGCHLD, &reap, NULL);
  sigaction(SIGPIPE, &reap, NULL);
  int listener = listen_for(engine);
  if (listener < 0) {
    complain("listening", "for the engine");
    return -1;
  }
  for (;;) {
    struct pollfd fds[] = {{engine, POLLIN, 0}, {listener, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return -1;
    if (fds[0].revents != 0) return -1;
    if (fds[1].revents == 0) continue;
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) continue;
    pid_t pid = is_engine(client, parent) ? fork() : 1;
    if (pid == 0) {
      close(listener);
      close(engine);
      return client;
    }
    if (pid < 0) complain("forking", "a shim");
    close(client);
  }
}
