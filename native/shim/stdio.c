#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "complain.h"
#include "shim.h"

enum { TERMINAL_RETRY_MS = 50, MAX_DRAINS = 10 };

static void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

// A pipe with the process's end at `child` and ours, which never blocks, at `ours`.
static bool open_pipe(int *child, int *ours, bool child_reads) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return false;
  *child = ends[child_reads ? 0 : 1];
  *ours = ends[child_reads ? 1 : 0];
  set_nonblocking(*ours);
  return true;
}

// With a terminal the pty comes from the container's own devpts, later; until then stdio is /dev/null.
bool stdio_open(struct shim *shim, struct failure *failure) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return fail(failure, errno, "/dev/null");
  for (int i = 0; i < 3; i++) shim->child_stdio[i] = null;
  if (shim->terminal) return true;
  if (shim->stdin_mode != STDIN_NULL && !open_pipe(&shim->child_stdio[0], &shim->input, true))
    return fail(failure, errno, "stdin");
  return (open_pipe(&shim->child_stdio[1], &shim->output[1], false) &&
          open_pipe(&shim->child_stdio[2], &shim->output[2], false)) ||
         fail(failure, errno, "stdout and stderr");
}

void stdio_close_child_ends(struct shim *shim) {
  for (int i = 0; i < 3; i++) {
    int fd = shim->child_stdio[i];
    for (int j = i; j < 3; j++)
      if (shim->child_stdio[j] == fd) shim->child_stdio[j] = -1;
    if (fd >= 0) close(fd);
  }
}

void stdio_take_master(struct shim *shim, int master) {
  set_nonblocking(master);
  shim->master = shim->output[1] = master;
  shim->input = shim->stdin_mode == STDIN_NULL ? -1 : master;
}

bool stdio_blocked(const struct shim *shim) {
  for (int i = 0; i < MAX_CLIENTS; i++)
    if (shim->clients[i].fd >= 0 && bytes_length(&shim->clients[i].out) > CLIENT_OUT_LIMIT) return true;
  return false;
}

static void end_output(struct shim *shim, int stream) {
  if (shim->output[stream] != shim->master) close(shim->output[stream]);
  shim->output[stream] = -1;
}

void stdio_read(struct shim *shim, int stream) {
  static uint8_t chunk[CHUNK];
  ssize_t length = read(shim->output[stream], chunk, sizeof chunk);
  if (length > 0) {
    shim->quiet_since = monotonic_ms();
    log_write(&shim->log, stream, chunk, (size_t)length);
    clients_output(shim, stream, chunk, (size_t)length);
    return;
  }
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // A terminal that nobody has open reads as EIO; while the process lives it may open it again.
  if (length < 0 && errno == EIO && shim->state != PROCESS_EXITED) {
    shim->terminal_retry = monotonic_ms() + TERMINAL_RETRY_MS;
    return;
  }
  if (length < 0 && errno != EIO) complain("reading", "the process's output");
  end_output(shim, stream);
}

static void close_input(struct shim *shim) {
  if (shim->input != shim->master) close(shim->input);
  shim->input = -1;
}

void stdio_write(struct shim *shim) {
  if (shim->input >= 0 && !bytes_write(&shim->stdin_queue, shim->input)) {
    // The process reads no more; what was meant for it is dropped.
    close_input(shim);
  }
  if (shim->input < 0) bytes_drop(&shim->stdin_queue, bytes_length(&shim->stdin_queue));
  // A terminal has no half-close.
  if (shim->stdin_ended && !shim->terminal && shim->input >= 0 && bytes_length(&shim->stdin_queue) == 0) close_input(shim);
}

// What the process wrote itself is in its pipes when it ends. Others that hold them may go on for ever; nobody waits for those.
bool stdio_drained(const struct shim *shim, long long now) {
  if (shim->output[1] < 0 && shim->output[2] < 0) return true;
  if (stdio_blocked(shim)) return false;
  return now - shim->quiet_since >= shim->drain_ms || now - shim->ended_at >= MAX_DRAINS * shim->drain_ms;
}
