#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay.h"
#include "standby.h"
#include "starter.h"

enum { PATIENCE_MS = 300 };

extern char **environ;

// Variables that a process reads when it starts, or that its libraries do.
static const char *const read_at_start[] = {"BUN_", "NODE_OPTIONS=", "LD_", "MALLOC_", "GLIBC_", "MIMALLOC_", "TZ"};

static const char *unusual_environment(void) {
  for (char **variable = environ; *variable != NULL; variable++)
    for (size_t i = 0; i < sizeof read_at_start / sizeof *read_at_start; i++)
      if (strncmp(*variable, read_at_start[i], strlen(read_at_start[i])) == 0)
        return "the environment holds what is read when a process starts";
  return NULL;
}

// A terminal's job control is about the processes of its session.
static const char *unusual_descriptors(void) {
  for (int fd = 0; fd < 3; fd++) {
    if (fcntl(fd, F_GETFD) < 0) return "standard input, output or error is closed";
    if (isatty(fd)) return "a terminal's job control is for the processes of its session";
  }
  return NULL;
}

// A path that means another file to each process: a further descriptor of ours, as by a shell's <(…).
// Or another engine than the environment's, perhaps by TLS, of which a part is set up when a process starts.
static const char *unusual_arguments(char **argv) {
  for (; *argv != NULL; argv++) {
    if (strstr(*argv, "/dev/fd") != NULL || strstr(*argv, "/proc/") != NULL) return "an argument names what belongs to a process";
    if (strncmp(*argv, "-H", 2) == 0 || strncmp(*argv, "--host=", 7) == 0 || strcmp(*argv, "--host") == 0)
      return "another engine is named than the environment's";
  }
  return NULL;
}

// Beside the socket of the engine that the environment names.
static bool socket_path(struct sockaddr_un *address) {
  const char *host = getenv("GANTRY_HOST");
  if (host == NULL || *host == 0) host = getenv("DOCKER_HOST");
  if (host == NULL || *host == 0) host = "unix:///run/gantry/gantry.sock";
  if (strncmp(host, "unix://", 7) != 0) return false;
  address->sun_family = AF_UNIX;
  int length = snprintf(address->sun_path, sizeof address->sun_path, "%s.standby", host + 7);
  return length > 0 && (size_t)length < sizeof address->sun_path;
}

// Only one who could do all we can is trusted with what we hold.
static bool is_ours(int connection) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == geteuid() && peer.uid == getuid();
}

static int connect_standby(void) {
  struct sockaddr_un address = {0};
  if (!socket_path(&address)) return -1;
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connection < 0) return -1;
  if (connect(connection, (struct sockaddr *)&address, sizeof address) == 0 && is_ours(connection) &&
      fcntl(connection, F_SETFL, 0) == 0)
    return connection;
  close(connection);
  return -1;
}

static size_t length_of(char **strings) {
  size_t length = 0;
  for (; *strings != NULL; strings++) length += strlen(*strings) + 1;
  return length;
}

static char *append(char *to, char **strings) {
  for (; *strings != NULL; strings++) to = stpcpy(to, *strings) + 1;
  return to;
}

static bool describe(const struct installation *here, int argc, char **argv, struct standby_request *request) {
  struct stat program;
  size_t bytes = length_of(argv) + length_of(environ);
  if (stat(here->compiled, &program) < 0 || bytes > STANDBY_MAX_BYTES) return false;
  mode_t mask = umask(0);
  umask(mask);
  *request = (struct standby_request){
      .magic = STANDBY_MAGIC,
      .umask = mask,
      .argc = (uint32_t)argc,
      .bytes = (uint32_t)bytes,
      .program_device = program.st_dev,
      .program_inode = program.st_ino,
      .program_size = (uint64_t)program.st_size,
      .program_modified = (uint64_t)program.st_mtim.tv_sec * 1000000000u + (uint64_t)program.st_mtim.tv_nsec,
  };
  return true;
}

static bool send_strings(int connection, char *strings, size_t size, int directory) {
  union {
    char bytes[CMSG_SPACE(STANDBY_DESCRIPTORS * sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  const int descriptors[STANDBY_DESCRIPTORS] = {0, 1, 2, directory};
  struct iovec part = {strings, size};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptors);
  memcpy(CMSG_DATA(header), descriptors, sizeof descriptors);
  ssize_t sent = sendmsg(connection, &message, MSG_NOSIGNAL);
  for (size_t done = sent < 0 ? 0 : (size_t)sent; sent > 0 && done < size; done += (size_t)sent)
    sent = send(connection, strings + done, size - done, MSG_NOSIGNAL);
  return sent > 0;
}

static bool send_command(int connection, const struct installation *here, int argc, char **argv) {
  struct standby_request request;
  if (!describe(here, argc, argv, &request)) return false;
  char *strings = malloc(request.bytes);
  int directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  bool sent = false;
  if (strings != NULL && directory >= 0) {
    append(append(strings, argv), environ);
    sent = send(connection, &request, sizeof request, MSG_NOSIGNAL) == sizeof request &&
           send_strings(connection, strings, request.bytes, directory);
  }
  if (directory >= 0) close(directory);
  free(strings);
  return sent;
}

// The spare's pid, or -1 where none takes the command within our patience.
static pid_t await_ready(int connection) {
  struct pollfd ready = {connection, POLLIN, 0};
  struct standby_reply reply;
  if (poll(&ready, 1, PATIENCE_MS) != 1) return -1;
  if (recv(connection, &reply, sizeof reply, MSG_WAITALL) != sizeof reply || reply.type != STANDBY_READY) return -1;
  return (pid_t)reply.value;
}

static const char *try(const struct installation *here, int argc, char **argv, const sigset_t *mask) {
  const char *reason = unusual_descriptors();
  if (reason == NULL) reason = unusual_arguments(argv);
  if (reason == NULL) reason = unusual_environment();
  if (reason == NULL && !sigisemptyset(mask)) reason = "signals are blocked";
  if (reason != NULL) return reason;
  int connection = connect_standby();
  if (connection < 0) return "nothing of this user's listens beside the engine's socket";
  pid_t pid = send_command(connection, here, argc, argv) ? await_ready(connection) : -1;
  if (pid > 0) relay(connection, pid); // returns where the spare was gone before its go
  close(connection);
  return "none is ready, or it stands in other circumstances";
}

const char *hand_over(const struct installation *here, int argc, char **argv) {
  // None gets lost between here and there.
  sigset_t all, before;
  sigfillset(&all);
  if (sigprocmask(SIG_BLOCK, &all, &before) < 0) return "signals cannot be held back";
  const char *reason = try(here, argc, argv, &before);
  sigprocmask(SIG_SETMASK, &before, NULL);
  return reason;
}
