// What a child tells the parent that waits for its exec, over fd `status`: packets of a SOCK_SEQPACKET, or the start fifo.
// The last of them, `error`, goes to TypeScript as it is (src/runtime/launch-error.ts).
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum status_type { STATUS_READY = 1, STATUS_CONSOLE = 2, STATUS_ERROR = 3, STATUS_MEET = 4, STATUS_CLONED = 5 };
enum { STATUS_DETAIL = 1024, STATUS_NO_INDEX = -1 };

struct status_packet {
  uint32_t type;
  uint32_t index;  // of the operation in the plan
  uint32_t code;
  uint32_t error;  // errno
  char detail[STATUS_DETAIL];
};

enum { STATUS_HEAD = offsetof(struct status_packet, detail) };

static inline size_t status_error(struct status_packet *packet, uint32_t index, uint32_t code, int error, const char *detail) {
  *packet = (struct status_packet){.type = STATUS_ERROR, .index = index, .code = code, .error = (uint32_t)error};
  size_t length = strlen(detail);
  if (length > STATUS_DETAIL) length = STATUS_DETAIL;
  memcpy(packet->detail, detail, length);
  return STATUS_HEAD + length;
}

static inline ssize_t status_send(int status, const struct status_packet *packet, size_t length) {
  return write(status, packet, length);
}
