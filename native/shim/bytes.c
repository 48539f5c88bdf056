#include "bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint8_t *bytes_reserve(struct bytes *bytes, size_t size) {
  if (bytes->start > 0 && bytes->capacity - bytes->end < size) {
    memmove(bytes->data, bytes_at(bytes), bytes_length(bytes));
    bytes->end -= bytes->start;
    bytes->start = 0;
  }
  if (bytes->capacity - bytes->end < size) {
    size_t capacity = bytes->capacity == 0 ? 4096 : bytes->capacity;
    while (capacity - bytes->end < size) capacity *= 2;
    uint8_t *data = realloc(bytes->data, capacity);
    if (data == NULL) return NULL;
    bytes->data = data;
    bytes->capacity = capacity;
  }
  return bytes->data + bytes->end;
}

bool bytes_append(struct bytes *bytes, const void *data, size_t size) {
  uint8_t *at = bytes_reserve(bytes, size);
  if (at == NULL) return false;
  if (size > 0) memcpy(at, data, size);
  bytes->end += size;
  return true;
}

void bytes_drop(struct bytes *bytes, size_t size) {
  bytes->start += size;
  if (bytes->start == bytes->end) bytes->start = bytes->end = 0;
}

bool bytes_write(struct bytes *bytes, int fd) {
  while (bytes_length(bytes) > 0) {
    ssize_t written = write(fd, bytes_at(bytes), bytes_length(bytes));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno == EAGAIN;
    bytes_drop(bytes, (size_t)written);
  }
  return true;
}

void bytes_free(struct bytes *bytes) {
  free(bytes->data);
  *bytes = (struct bytes){0};
}
