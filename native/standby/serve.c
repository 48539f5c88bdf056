#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "standby.h"

static struct spare *ready_one(struct standby *standby) {
  for (int i = 0; i < MAX_SPARES; i++)
    if (standby->spares[i].state == READY) return &standby->spares[i];
  return NULL;
}

static bool read_request(int connection, struct standby_request *request) {
  struct timeval patience = {.tv_usec = PATIENCE_MS * 1000};
  return setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
         recv(connection, request, sizeof *request, MSG_WAITALL) == sizeof *request && request->magic == STANDBY_MAGIC &&
         request->bytes <= STANDBY_MAX_BYTES;
}

static bool same_program(const struct standby_request *a, const struct standby_request *b) {
  return a->program_device == b->program_device && a->program_inode == b->program_inode && a->program_size == b->program_size &&
         a->program_modified == b->program_modified;
}

// Built anew since, the spares are of yesterday.
static void renew_program(struct standby *standby) {
  struct stat program;
  struct standby_request now = {0};
  if (stat(standby->program, &program) == 0) {
    now.program_device = program.st_dev;
    now.program_inode = program.st_ino;
    now.program_size = (uint64_t)program.st_size;
    now.program_modified = (uint64_t)program.st_mtim.tv_sec * 1000000000u + (uint64_t)program.st_mtim.tv_nsec;
  }
  if (same_program(&now, &standby->loaded)) return;
  spares_retire(standby);
  standby->loaded = now;
}

static bool may_be_served(int connection) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == geteuid() &&
         same_circumstances(peer.pid);
}

static bool pass_on(const struct spare *spare, int connection, const struct standby_request *request) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct iovec part = {(void *)request, sizeof *request};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof connection);
  memcpy(CMSG_DATA(header), &connection, sizeof connection);
  return sendmsg(spare->control, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof *request;
}

// True where a spare has it now, and the connection with it.
static bool serve(struct standby *standby, int connection, const struct standby_request *request) {
  struct spare *spare = ready_one(standby);
  if (spare == NULL || !may_be_served(connection) || !pass_on(spare, connection, request)) return false;
  spare->state = SERVING;
  spare->connection = connection;
  return true;
}

// Whom none can serve is told so by the end of the connection, at once.
void serve_next(struct standby *standby, long long now) {
  int connection = accept4(standby->listener, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) return;
  struct standby_request request;
  bool served = false;
  renew_program(standby);
  // One of another installation is served by that one's own engine.
  if (read_request(connection, &request) && same_program(&request, &standby->loaded)) {
    served = serve(standby, connection, &request);
    standby->keep_until = now + KEEP_MS;
    if (standby->spawn_at == 0) standby->spawn_at = now + SETTLE_MS;
  }
  if (!served) close(connection);
}
