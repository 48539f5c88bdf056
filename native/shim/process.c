#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "complain.h"
#include "launcher/process-time.h"
#include "shim.h"

enum { EXIT_LAUNCH = 125, EXIT_BY_SIGNAL = 128, EXIT_UNKNOWN = 255 };

struct process_payload process_payload(const struct shim *shim) {
  return (struct process_payload){.pid = (uint32_t)shim->pid, .state = shim->state, .start_time = shim->start_time};
}

static bool launch_create(struct shim *shim, struct failure *failure) {
  struct launched launched;
  if (!launch(&shim->plan, shim->child_stdio, &launched)) {
    failure->packet = launched.failure;
    failure->length = launched.failure_length;
    return false;
  }
  shim->pid = launched.pid;
  shim->pidfd = launched.pidfd;
  shim->status = launched.status;
  if (launched.master >= 0) stdio_take_master(shim, launched.master);
  stdio_close_child_ends(shim);
  return true;
}

bool process_create(struct shim *shim, struct failure *failure) {
  if (!(shim->command == NULL ? launch_create(shim, failure) : command_create(shim, failure))) return false;
  shim->start_time = process_start_time(shim->pid);
  return true;
}

static void ended(struct shim *shim) {
  wall_clock_text(shim->exited_at);
  shim->out_of_memory = oom_killed(shim);
  shim->state = PROCESS_EXITED;
  shim->ended_at = shim->quiet_since = monotonic_ms();
}

// Where the command fails, either no process ever was, or the one that waits can be asked to start again.
static bool start_by_command(struct shim *shim, struct failure *failure) {
  if (command_start(shim, failure)) {
    shim->start_time = process_start_time(shim->pid);
    shim->state = PROCESS_RUNNING;
    return true;
  }
  if (shim->pidfd >= 0) {
    shim->start_asked = false;
  } else {
    shim->exit_code = EXIT_LAUNCH;
    ended(shim);
  }
  return false;
}

bool process_start(struct shim *shim, struct failure *failure) {
  if (shim->start_asked) return fail(failure, EALREADY, "the process is started already");
  shim->start_asked = true;
  if (shim->command != NULL) return start_by_command(shim, failure);
  if (shim->state == PROCESS_EXITED || send(shim->status, "", 1, MSG_NOSIGNAL) != 1)
    return fail(failure, ESRCH, "the process has ended before its start");
  return true;
}

static void answer_start(struct shim *shim, enum reply_type type, const void *payload, size_t length) {
  for (int i = 0; i < MAX_CLIENTS; i++) {
    struct client *client = &shim->clients[i];
    if (client->fd < 0 || client->start_id == NOBODY) continue;
    int id = client->start_id;
    client->start_id = NOBODY;
    client_reply(client, id, type, 0, payload, length);
  }
}

void process_status(struct shim *shim) {
  struct status_packet packet;
  ssize_t length = recv(shim->status, &packet, sizeof packet, MSG_DONTWAIT);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  close(shim->status);
  shim->status = -1;
  if (length >= STATUS_HEAD) {
    answer_start(shim, REPLY_ERROR, &packet, (size_t)length);
    return;
  }
  if (!shim->start_asked) return;
  if (shim->state == PROCESS_CREATED) shim->state = PROCESS_RUNNING;
  struct process_payload started = process_payload(shim);
  answer_start(shim, REPLY_STARTED, &started, sizeof started);
}

void process_exited(struct shim *shim) {
  siginfo_t info = {0};
  int result;
  do result = waitid(P_PID, (id_t)shim->pid, &info, WEXITED | WNOHANG);
  while (result < 0 && errno == EINTR);
  if (result == 0 && info.si_pid == 0) return;
  if (result < 0) {
    complain("waiting for", "a process that is not ours");
    shim->exit_code = EXIT_UNKNOWN;
  } else if (info.si_code == CLD_EXITED) {
    shim->exit_code = info.si_status;
  } else {
    shim->exit_signal = info.si_status;
    shim->exit_code = EXIT_BY_SIGNAL + info.si_status;
  }
  // What it said before it ended comes first.
  if (shim->status >= 0) process_status(shim);
  ended(shim);
  close(shim->pidfd);
  shim->pidfd = -1;
}
