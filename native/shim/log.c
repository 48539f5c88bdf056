#define _GNU_SOURCE
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "complain.h"
#include "json-text.h"
#include "wall-clock.h"

static bool open_file(struct log *log) {
  struct stat found;
  log->fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (log->fd < 0 || fstat(log->fd, &found) < 0) return false;
  log->size = (uint64_t)found.st_size;
  return true;
}

bool log_open(struct log *log, const char *path, uint64_t max_bytes, uint64_t max_files, const char *attributes) {
  log->path = path;
  log->attributes = attributes;
  log->max_bytes = max_bytes;
  log->max_files = max_files < 1 ? 1 : max_files;
  return open_file(log);
}

// x.log.2 → x.log.3, x.log.1 → x.log.2, x.log → x.log.1; with one file, it begins anew.
static void rotate(struct log *log) {
  char from[PATH_MAX + 24], to[PATH_MAX + 24];
  close(log->fd);
  for (uint64_t n = log->max_files - 1; n > 0; n--) {
    snprintf(to, sizeof to, "%s.%llu", log->path, (unsigned long long)n);
    if (n > 1)
      snprintf(from, sizeof from, "%s.%llu", log->path, (unsigned long long)n - 1);
    else
      snprintf(from, sizeof from, "%s", log->path);
    if (rename(from, to) < 0 && errno != ENOENT) complain("rotating the log", from);
  }
  if (log->max_files == 1 && unlink(log->path) < 0) complain("rotating the log", log->path);
  if (!open_file(log)) complain("opening the log", log->path);
}

// A log that cannot be written must not stop the process: what is lost is said, and the next lines are tried again.
static void flush(struct log *log) {
  size_t size = bytes_length(&log->out);
  if (log->fd < 0) {
    bytes_drop(&log->out, size);
    return;
  }
  // Bytes of the file's last line that is not whole yet.
  size_t torn = 0;
  while (bytes_length(&log->out) > 0) {
    ssize_t written = write(log->fd, bytes_at(&log->out), bytes_length(&log->out));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      complain("writing the log", log->path);
      // A full disk took the beginning of a line: what follows must not be read as its end.
      off_t end = torn == 0 ? -1 : lseek(log->fd, 0, SEEK_END);
      if (end >= (off_t)torn && ftruncate(log->fd, end - (off_t)torn) == 0) log->size -= torn;
      bytes_drop(&log->out, bytes_length(&log->out));
      return;
    }
    const uint8_t *last = memrchr(bytes_at(&log->out), '\n', (size_t)written);
    torn = last == NULL ? torn + (size_t)written : (size_t)written - (size_t)(last - bytes_at(&log->out)) - 1;
    bytes_drop(&log->out, (size_t)written);
    log->size += (uint64_t)written;
  }
}

static void put_line(struct log *log, int stream, const uint8_t *data, size_t size) {
  char head[32], tail[64], time[WALL_CLOCK_TEXT];
  wall_clock_text(time);
  int head_size = snprintf(head, sizeof head, "\",\"stream\":\"%s\",", stream == 1 ? "stdout" : "stderr");
  int tail_size = snprintf(tail, sizeof tail, "\"time\":\"%s\"}\n", time);
  size_t before = bytes_length(&log->out);
  if (!bytes_append(&log->out, "{\"log\":\"", 8) || !json_text(&log->out, data, size) ||
      !bytes_append(&log->out, head, (size_t)head_size) ||
      !bytes_append(&log->out, log->attributes, strlen(log->attributes)) || !bytes_append(&log->out, tail, (size_t)tail_size)) {
    log->out.end = log->out.start + before;
    complain("keeping a line of the log", "out of memory");
    return;
  }
  if (log->max_bytes > 0 && log->size + bytes_length(&log->out) > log->max_bytes && log->size + before > 0) {
    // Everything but this line belongs into the full file.
    struct bytes line = {0};
    bool kept = bytes_append(&line, bytes_at(&log->out) + before, bytes_length(&log->out) - before);
    log->out.end = log->out.start + before;
    flush(log);
    rotate(log);
    if (kept) bytes_append(&log->out, bytes_at(&line), bytes_length(&line));
    bytes_free(&line);
  }
}

void log_write(struct log *log, int stream, const uint8_t *data, size_t size) {
  if (log->path == NULL) return;
  struct bytes *held = &log->line[stream];
  while (size > 0) {
    size_t room = LOG_MAX_LINE - bytes_length(held);
    size_t limit = size < room ? size : room;
    const uint8_t *end = memchr(data, '\n', limit);
    size_t take = end == NULL ? limit : (size_t)(end - data) + 1;
    bool whole = end != NULL || take == room;
    if (whole && bytes_length(held) == 0) {
      put_line(log, stream, data, take);
    } else if (!bytes_append(held, data, take)) {
      complain("keeping a line of the log", "out of memory");
    } else if (whole) {
      put_line(log, stream, bytes_at(held), bytes_length(held));
      bytes_drop(held, bytes_length(held));
    }
    data += take;
    size -= take;
  }
  flush(log);
}

void log_close(struct log *log) {
  if (log->path == NULL) return;
  for (int stream = 1; stream < LOG_STREAMS; stream++) {
    struct bytes *held = &log->line[stream];
    if (bytes_length(held) > 0) put_line(log, stream, bytes_at(held), bytes_length(held));
    bytes_free(held);
  }
  flush(log);
  if (log->fd >= 0) close(log->fd);
  log->fd = -1;
}
