// A queue of bytes: what a client has not taken yet, what the process has not read yet.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bytes {
  uint8_t *data;
  size_t start, end, capacity;
};

static inline size_t bytes_length(const struct bytes *bytes) { return bytes->end - bytes->start; }
static inline uint8_t *bytes_at(const struct bytes *bytes) { return bytes->data + bytes->start; }
// Room for `size` more bytes behind the last one; NULL when out of memory.
uint8_t *bytes_reserve(struct bytes *bytes, size_t size);
bool bytes_append(struct bytes *bytes, const void *data, size_t size);
void bytes_drop(struct bytes *bytes, size_t size);
// Writes what the fd takes without blocking. False where it is broken.
bool bytes_write(struct bytes *bytes, int fd);
void bytes_free(struct bytes *bytes);
