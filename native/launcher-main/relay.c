#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { END_OF_FILE = 4 };  // VEOF of a new pty

void relay_resize(const struct relay *relay) {
  struct winsize size;
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0) ioctl(relay->master, TIOCSWINSZ, &size);
}

void relay_open(struct relay *relay, int master) {
  *relay = (struct relay){.master = master, .input_open = true};
  fcntl(master, F_SETFL, fcntl(master, F_GETFL) | O_NONBLOCK);
  relay_resize(relay);
  if (tcgetattr(STDIN_FILENO, &relay->saved) < 0) return;
  struct termios raw = relay->saved;
  cfmakeraw(&raw);
  relay->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

// To stdout; what it does not take any more is let go, so that the process inside never waits for us.
static void put(const unsigned char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(STDOUT_FILENO, bytes, length);
    if (written > 0) {
      bytes += written;
      length -= (size_t)written;
    } else if (written < 0 && errno == EAGAIN) {
      struct pollfd room = {.fd = STDOUT_FILENO, .events = POLLOUT};
      poll(&room, 1, -1);
    } else if (written == 0 || errno != EINTR) {
      return;
    }
  }
}

// Returns false once the pty has no more to give now, or for good.
static bool take_output(struct relay *relay) {
  unsigned char bytes[16384];
  ssize_t length = read(relay->master, bytes, sizeof bytes);
  if (length > 0) put(bytes, (size_t)length);
  return length > 0 || (length < 0 && errno == EINTR);
}

static void take_input(struct relay *relay) {
  ssize_t length = read(STDIN_FILENO, relay->pending, sizeof relay->pending);
  if (length < 0 && (errno == EINTR || errno == EAGAIN)) return;
  relay->input_open = length > 0;
  relay->pending_length = length > 0 ? (size_t)length : 1;
  if (length <= 0) relay->pending[0] = END_OF_FILE;
}

static void give_input(struct relay *relay) {
  ssize_t written = write(relay->master, relay->pending, relay->pending_length);
  if (written < 0 && (errno == EINTR || errno == EAGAIN)) return;
  size_t taken = written < 0 ? relay->pending_length : (size_t)written;
  relay->pending_length -= taken;
  memmove(relay->pending, relay->pending + taken, relay->pending_length);
}

void relay_until(struct relay *relay, int wake) {
  enum { WAKE, MASTER, INPUT, COUNT };
  bool gone = false;  // nobody has the other end open, for now
  for (;;) {
    bool reads = relay->input_open && relay->pending_length == 0;
    struct pollfd fds[COUNT] = {
        [WAKE] = {.fd = wake, .events = POLLIN},
        [MASTER] = {.fd = gone ? -1 : relay->master, .events = (short)(POLLIN | (relay->pending_length > 0 ? POLLOUT : 0))},
        [INPUT] = {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
    };
    if (poll(fds, COUNT, -1) < 0) continue;
    if ((fds[MASTER].revents & POLLOUT) != 0) give_input(relay);
    if ((fds[MASTER].revents & (POLLIN | POLLHUP)) != 0 && !take_output(relay)) gone = errno == EIO;
    if (fds[INPUT].revents != 0) take_input(relay);
    if (fds[WAKE].revents != 0) return;
  }
}

void relay_close(struct relay *relay) {
  while (take_output(relay)) continue;
  if (relay->raw) tcsetattr(STDIN_FILENO, TCSADRAIN, &relay->saved);
}
