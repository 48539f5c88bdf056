#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "complain.h"
#include "shim.h"

static void client_init(struct client *client, int fd) {
  *client = (struct client){.fd = fd, .wait_id = NOBODY, .start_id = NOBODY, .moved_at = monotonic_ms()};
  if (fd >= 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void clients_init(struct shim *shim, int first) {
  for (int i = 0; i < MAX_CLIENTS; i++) client_init(&shim->clients[i], i == 0 ? first : -1);
}

bool clients_any(const struct shim *shim) {
  for (int i = 0; i < MAX_CLIENTS; i++)
    if (shim->clients[i].fd >= 0) return true;
  return false;
}

void client_accept(struct shim *shim) {
  int fd = accept4(shim->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  for (int i = 0; i < MAX_CLIENTS; i++)
    if (shim->clients[i].fd < 0) {
      client_init(&shim->clients[i], fd);
      return;
    }
  errno = EMFILE;
  complain("accepting", "one client more");
  close(fd);
}

void client_drop(struct client *client) {
  if (client->fd < 0) return;
  close(client->fd);
  bytes_free(&client->in);
  bytes_free(&client->out);
  client_init(client, -1);
}

void client_flush(struct client *client) {
  size_t before = bytes_length(&client->out);
  if (!bytes_write(&client->out, client->fd)) {
    client_drop(client);
    return;
  }
  if (client->leaving && bytes_length(&client->out) == 0) {
    // Closed by the client: what it sends meanwhile would break its connection, and with it what it has not read yet.
    shutdown(client->fd, SHUT_WR);
    client->moved_at = monotonic_ms();
    return;
  }
  if (bytes_length(&client->out) < before || before == 0) client->moved_at = monotonic_ms();
}

static void queue(struct client *client, int id, enum reply_type type, int stream, const void *payload, size_t length) {
  if (bytes_length(&client->out) == 0) client->moved_at = monotonic_ms();
  struct frame frame = {.length = (uint32_t)length, .type = (uint8_t)type, .stream = (uint8_t)stream, .id = (uint16_t)id};
  if (bytes_append(&client->out, &frame, sizeof frame) && bytes_append(&client->out, payload, length)) return;
  complain("answering", "a client");
  client_drop(client);
}

void client_reply(struct client *client, int id, enum reply_type type, int stream, const void *payload, size_t length) {
  if (client->fd < 0) return;
  queue(client, id, type, stream, payload, length);
  if (client->fd >= 0) client_flush(client);
}

void clients_output(struct shim *shim, int stream, const uint8_t *data, size_t size) {
  for (int i = 0; i < MAX_CLIENTS; i++)
    if (shim->clients[i].attached) client_reply(&shim->clients[i], 0, REPLY_OUTPUT, stream, data, size);
}

// A client that takes nothing may hold the process up for a while, or the end of this shim, but not for ever.
void clients_drop_stalled(struct shim *shim, long long now) {
  for (int i = 0; i < MAX_CLIENTS; i++) {
    struct client *client = &shim->clients[i];
    size_t limit = shim->finished ? 0 : CLIENT_OUT_LIMIT;
    bool waited_for = client->leaving || bytes_length(&client->out) > limit;
    if (client->fd >= 0 && waited_for && now - client->moved_at >= shim->stall_ms) client_drop(client);
  }
}

void client_read(struct shim *shim, struct client *client) {
  uint8_t *room = bytes_reserve(&client->in, CHUNK);
  ssize_t length = room == NULL ? 0 : read(client->fd, room, CHUNK);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length <= 0) {
    client_drop(client);
    return;
  }
  if (client->leaving) return;
  client->in.end += (size_t)length;
  struct frame frame;
  while (client->fd >= 0 && bytes_length(&client->in) >= sizeof frame) {
    memcpy(&frame, bytes_at(&client->in), sizeof frame);
    if (frame.length > FRAME_MAX) {
      client_drop(client);
      return;
    }
    if (bytes_length(&client->in) < sizeof frame + frame.length) return;
    if (!request_handle(shim, client, &frame, bytes_at(&client->in) + sizeof frame)) {
      client_drop(client);
      return;
    }
    if (client->fd >= 0) bytes_drop(&client->in, sizeof frame + frame.length);
  }
}
