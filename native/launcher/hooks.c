// Hooks (runtime-spec: config.md#posix-platform-hooks): a program that gets the container's state on stdin and has to end
// well, in time. What it says on stderr is told with its failure.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "steps.h"

enum { SAID = 512, EXIT_NO_HOOK = 127 };

// A hook under way.
struct hook {
  pid_t pid;
  int pidfd;
  int input;   // state goes here, or -1 once it has
  int output;  // what it says, or -1 once it has closed it
  char *state;
  size_t length, sent;
  char said[SAID];
  size_t said_length;
};

static long long now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static _Noreturn void become_hook(const char *path, char **argv, char **env, int input, int output) {
  char *own[] = {(char *)path, NULL};
  setsid();
  int null = open("/dev/null", O_WRONLY);
  if (dup2(input, 0) < 0 || dup2(null < 0 ? output : null, 1) < 0 || dup2(output, 2) < 0) _exit(EXIT_NO_HOOK);
  sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  execve(path, argv[0] == NULL ? own : argv, env);
  dprintf(2, "%s", strerror(errno));
  _exit(EXIT_NO_HOOK);
}

static int close_both(int pair[2]) {
  int error = errno;
  close(pair[0]);
  close(pair[1]);
  errno = error;
  return -1;
}

// clone(2), not clone3: a filter that is loaded by now may know only that.
static int start(struct hook *hook, const char *path, char **argv, char **env) {
  int input[2], output[2];
  if (pipe2(input, O_CLOEXEC) < 0) return -1;
  if (pipe2(output, O_CLOEXEC) < 0) return close_both(input);
  hook->pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &hook->pidfd, NULL, 0UL);
  if (hook->pid == 0) become_hook(path, argv, env, input[0], output[1]);
  if (hook->pid < 0) {
    close_both(output);
    return close_both(input);
  }
  close(input[0]);
  close(output[1]);
  hook->input = input[1];
  hook->output = output[0];
  fcntl(hook->input, F_SETFL, O_NONBLOCK);
  return 0;
}

static void drop(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void feed(struct hook *hook) {
  ssize_t written = write(hook->input, hook->state + hook->sent, hook->length - hook->sent);
  if (written < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // One that reads nothing is none the worse for it.
  if (written < 0) drop(&hook->input);
  hook->sent += written < 0 ? 0 : (size_t)written;
  if (hook->sent == hook->length) drop(&hook->input);
}

static void listen_to(struct hook *hook) {
  char rest[SAID];
  bool full = hook->said_length == sizeof hook->said - 1;
  ssize_t length = read(hook->output, full ? rest : hook->said + hook->said_length, full ? sizeof rest : sizeof hook->said - 1 - hook->said_length);
  if (length < 0 && errno == EINTR) return;
  if (length <= 0) drop(&hook->output);
  if (length > 0 && !full) hook->said_length += (size_t)length;
}

// Until it has ended; false where the time is over first.
static bool attend(struct hook *hook, uint64_t timeout) {
  long long end = now_ms() + (long long)timeout;
  for (;;) {
    struct pollfd fds[] = {{hook->pidfd, POLLIN, 0}, {hook->input, POLLOUT, 0}, {hook->output, POLLIN, 0}};
    long long left = timeout == 0 ? -1 : end - now_ms();
    if (timeout != 0 && left <= 0) return false;
    if (poll(fds, 3, left > 1000000 ? 1000000 : (int)left) < 0 && errno != EINTR) return false;
    if ((fds[1].revents) != 0) feed(hook);
    if ((fds[2].revents) != 0) listen_to(hook);
    else if ((fds[0].revents & POLLIN) != 0) return true;
  }
}

static int verdict(struct steps *steps, struct hook *hook, const char *path, bool in_time) {
  int status = 0;
  // A hook may signal nobody of its own session any more, and nobody may be waited for without end.
  if (!in_time) kill(-hook->pid, SIGKILL), sys_pidfd_send_signal(hook->pidfd, SIGKILL);
  while (waitpid(hook->pid, &status, 0) < 0 && errno == EINTR) continue;
  char text[STATUS_DETAIL];
  if (!in_time)
    snprintf(text, sizeof text, "%s took too long", path);
  else if (WIFSIGNALED(status))
    snprintf(text, sizeof text, "%s was ended by signal %d: %s", path, WTERMSIG(status), hook->said);
  else if (WEXITSTATUS(status) != 0)
    snprintf(text, sizeof text, "%s exited with %d: %s", path, WEXITSTATUS(status), hook->said);
  else
    return 0;
  return step_fail(steps, in_time ? ECANCELED : ETIMEDOUT, text);
}

int hook_run(struct steps *steps, const struct plan_arg *args, uint32_t pid) {
  const char *path = args[0].bytes;
  char **argv = plan_strings(&args[1]), **env = plan_strings(&args[2]);
  struct hook hook = {.pidfd = -1, .input = -1, .output = -1};
  int length = argv == NULL || env == NULL ? -1 : asprintf(&hook.state, "%s%u%s", args[4].bytes, pid, args[5].bytes);
  int result = -1;
  if (length >= 0) {
    hook.length = (size_t)length;
    result = start(&hook, path, argv, env);
    result = result < 0 ? step_fail(steps, errno, path) : verdict(steps, &hook, path, attend(&hook, args[3].number));
    free(hook.state);
  }
  int error = errno;
  drop(&hook.input);
  drop(&hook.output);
  drop(&hook.pidfd);
  free(argv);
  free(env);
  errno = error;
  return result;
}

int step_hook(struct steps *steps, const struct plan_arg *args) { return hook_run(steps, args, steps->host_pid); }
