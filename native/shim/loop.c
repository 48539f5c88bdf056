#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "complain.h"
#include "kernel.h"
#include "shim.h"

// Places in the poll set; clients follow.
enum place { LISTENER, PROCESS, STATUS, STDOUT, STDERR, STDIN, CLIENTS, PLACES = CLIENTS + MAX_CLIENTS };

static void watch(struct shim *shim, struct pollfd *fds, long long now) {
  bool blocked = stdio_blocked(shim), retry = now < shim->terminal_retry;
  bool stdin_full = bytes_length(&shim->stdin_queue) >= STDIN_LIMIT;
  fds[LISTENER] = (struct pollfd){shim->listener, POLLIN, 0};
  fds[PROCESS] = (struct pollfd){shim->pidfd, POLLIN, 0};
  fds[STATUS] = (struct pollfd){shim->start_asked ? shim->status : -1, POLLIN, 0};
  fds[STDOUT] = (struct pollfd){blocked || retry ? -1 : shim->output[1], POLLIN, 0};
  fds[STDERR] = (struct pollfd){blocked ? -1 : shim->output[2], POLLIN, 0};
  fds[STDIN] = (struct pollfd){bytes_length(&shim->stdin_queue) > 0 ? shim->input : -1, POLLOUT, 0};
  for (int i = 0; i < MAX_CLIENTS; i++) {
    struct client *client = &shim->clients[i];
    short events = (short)((client->attached && stdin_full ? 0 : POLLIN) | (bytes_length(&client->out) > 0 ? POLLOUT : 0));
    fds[CLIENTS + i] = (struct pollfd){events == 0 ? -1 : client->fd, events, 0};
  }
}

// Milliseconds until a time limit must be looked at again; -1: none runs.
static int next_timeout(const struct shim *shim, long long now) {
  long long timeout = -1;
  if (now < shim->terminal_retry) timeout = shim->terminal_retry - now;
  if (shim->state == PROCESS_EXITED && !shim->finished) {
    long long left = shim->quiet_since + shim->drain_ms - now;
    if (timeout < 0 || left < timeout) timeout = left < 0 ? 0 : left;
  }
  for (int i = 0; i < MAX_CLIENTS; i++) {
    const struct client *client = &shim->clients[i];
    bool waited_for = client->leaving || bytes_length(&client->out) > (shim->finished ? 0 : CLIENT_OUT_LIMIT);
    if (client->fd < 0 || !waited_for) continue;
    long long left = client->moved_at + shim->stall_ms - now;
    if (left < 0) left = 0;
    if (timeout < 0 || left < timeout) timeout = left;
  }
  return timeout > 60000 ? 60000 : (int)timeout;
}

static void serve(struct shim *shim, const struct pollfd *fds) {
  if (fds[LISTENER].revents != 0) client_accept(shim);
  if (fds[STATUS].revents != 0 && shim->status >= 0) process_status(shim);
  if (fds[STDOUT].revents != 0) stdio_read(shim, 1);
  if (fds[STDERR].revents != 0) stdio_read(shim, 2);
  if (fds[PROCESS].revents != 0) process_exited(shim);
  if (fds[STDIN].revents != 0) stdio_write(shim);
  for (int i = 0; i < MAX_CLIENTS; i++) {
    struct client *client = &shim->clients[i];
    // A place that was filled in this round has no events of its own yet.
    if (client->fd < 0 || client->fd != fds[CLIENTS + i].fd) continue;
    if ((fds[CLIENTS + i].revents & POLLOUT) != 0) client_flush(client);
    if (client->fd >= 0 && (fds[CLIENTS + i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) client_read(shim, client);
  }
}

static void finish(struct shim *shim) {
  log_close(&shim->log);
  // Of a process that never ran there is nothing to remember.
  int written = shim->start_asked ? exit_file_write(shim) : -1;
  shim->finished = true;
  requests_tell_exit(shim);
  exit_file_sync(shim, written);
}

// Nobody is left who could start it.
static bool abandoned(const struct shim *shim) { return !shim->start_asked && !clients_any(shim); }

static void discard(struct shim *shim) {
  if (shim->pidfd < 0) return;
  sys_pidfd_send_signal(shim->pidfd, SIGKILL);
  while (waitpid(shim->pid, NULL, 0) < 0 && errno == EINTR) continue;
}

void loop(struct shim *shim) {
  struct pollfd fds[PLACES];
  for (;;) {
    long long now = monotonic_ms();
    clients_drop_stalled(shim, now);
    if (shim->state == PROCESS_EXITED && !shim->finished && stdio_drained(shim, now)) finish(shim);
    if (shim->finished && !clients_any(shim)) break;
    if (abandoned(shim)) {
      discard(shim);
      break;
    }
    watch(shim, fds, now);
    if (poll(fds, PLACES, next_timeout(shim, now)) < 0) {
      if (errno == EINTR) continue;
      complain("polling", "clients and process");
      break;
    }
    serve(shim, fds);
  }
  unlinkat(shim->directory, "shim.sock", 0);
}
