#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "kernel.h"
#include "shim.h"

static void answer(struct client *client, int id, bool ok, const struct failure *failure) {
  if (ok)
    client_reply(client, id, REPLY_OK, 0, "", 0);
  else
    client_reply(client, id, REPLY_ERROR, 0, &failure->packet, failure->length);
}

static void start(struct shim *shim, struct client *client, int id) {
  struct failure failure;
  if (!process_start(shim, &failure)) {
    answer(client, id, false, &failure);
  } else if (shim->command != NULL) {
    struct process_payload started = process_payload(shim);
    client_reply(client, id, REPLY_STARTED, 0, &started, sizeof started);
  } else {
    client->start_id = id;
  }
}

// An attachment has nothing more to say: it is closed once the client has taken all of it.
static void end_attachment(struct client *client) {
  client->attached = false;
  client->leaving = true;
  client_reply(client, 0, REPLY_OUTPUT_END, 0, "", 0);
}

static void attach(struct shim *shim, struct client *client, int id) {
  client_reply(client, id, REPLY_OK, 0, "", 0);
  if (shim->finished)
    end_attachment(client);
  else if (client->fd >= 0)
    client->attached = true;
}

static bool resize(struct shim *shim, const uint8_t *payload, struct failure *failure) {
  uint16_t numbers[2];
  memcpy(numbers, payload, sizeof numbers);
  struct winsize size = {.ws_row = numbers[0], .ws_col = numbers[1]};
  if (shim->master < 0) return fail(failure, ENOTTY, "the process has no terminal");
  return ioctl(shim->master, TIOCSWINSZ, &size) == 0 || fail(failure, errno, "resizing");
}

static bool signal_process(struct shim *shim, const uint8_t *payload, struct failure *failure) {
  uint32_t number;
  memcpy(&number, payload, sizeof number);
  if (shim->pidfd < 0) return fail(failure, ESRCH, "the process has ended");
  return sys_pidfd_send_signal(shim->pidfd, (int)number) == 0 || fail(failure, errno, "signalling");
}

static void reply_exited(struct shim *shim, struct client *client, int id) {
  struct exit_payload exited = {
      .code = (uint32_t)shim->exit_code, .signal = (uint32_t)shim->exit_signal, .oom = shim->out_of_memory};
  size_t length = strlen(shim->exited_at);
  memcpy(exited.at, shim->exited_at, length);
  client_reply(client, id, REPLY_EXITED, 0, &exited, offsetof(struct exit_payload, at) + length);
}

void requests_tell_exit(struct shim *shim) {
  for (int i = 0; i < MAX_CLIENTS; i++) {
    struct client *client = &shim->clients[i];
    int id = client->wait_id;
    client->wait_id = NOBODY;
    if (client->fd >= 0 && id != NOBODY) reply_exited(shim, client, id);
    if (client->attached) end_attachment(client);
  }
}

bool request_handle(struct shim *shim, struct client *client, const struct frame *frame, const uint8_t *payload) {
  struct failure failure;
  switch ((enum request_type)frame->type) {
    case REQUEST_CREATE:
      return false;
    case REQUEST_START:
      start(shim, client, frame->id);
      return true;
    case REQUEST_ATTACH:
      attach(shim, client, frame->id);
      return true;
    case REQUEST_STDIN:
      if (shim->input >= 0 && !shim->stdin_ended && !bytes_append(&shim->stdin_queue, payload, frame->length)) return false;
      stdio_write(shim);
      return true;
    case REQUEST_STDIN_END:
      // A terminal outlives the clients that come and go.
      if (shim->stdin_mode == STDIN_ONCE && !shim->terminal) shim->stdin_ended = true;
      stdio_write(shim);
      return true;
    case REQUEST_RESIZE:
      if (frame->length != 4) return false;
      answer(client, frame->id, resize(shim, payload, &failure), &failure);
      return true;
    case REQUEST_KILL:
      if (frame->length != 4) return false;
      answer(client, frame->id, signal_process(shim, payload, &failure), &failure);
      return true;
    case REQUEST_WAIT:
      if (shim->finished)
        reply_exited(shim, client, frame->id);
      else
        client->wait_id = frame->id;
      return true;
    case REQUEST_DETACH:
      client->attached = false;
      return true;
    case REQUEST_STATE: {
      struct process_payload state = process_payload(shim);
      client_reply(client, frame->id, REPLY_CREATED, 0, &state, sizeof state);
      return true;
    }
  }
  return false;
}
