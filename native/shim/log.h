// The json-file log: one {"log","stream","time"} object a line, as Docker writes it, with rotation.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

enum { LOG_STREAMS = 3, LOG_MAX_LINE = 16 * 1024 };

struct log {
  const char *path;  // NULL: no log
  uint64_t max_bytes, max_files;
  const char *attributes;  // members of each line's object, with a comma, or ""
  int fd;
  uint64_t size;
  struct bytes out;                 // encoded, not written yet
  struct bytes line[LOG_STREAMS];   // an unfinished line of each stream (1 stdout, 2 stderr)
};

// Opens the file to append to. False with errno.
bool log_open(struct log *log, const char *path, uint64_t max_bytes, uint64_t max_files, const char *attributes);
// Takes output of a stream. Whole lines are written at once; a line of more than 16 KiB in parts, as Docker does.
void log_write(struct log *log, int stream, const uint8_t *data, size_t size);
// Writes lines that never ended.
void log_close(struct log *log);
