#define _GNU_SOURCE
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_AFTER_STDIO = 3, CONTROL = 4, EXIT_UNKNOWN = 255 };

extern char **environ;

// We are ROOT/build/gantry-launcher, whatever links led here. NULL with a message where that cannot be told.
static const char *installation(void) {
  static char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length > 0) return dirname(dirname(path));
  dprintf(2, "gantry-runtime: cannot tell by /proc/self/exe where it is installed: %s\n", strerror(errno));
  return NULL;
}

static char *below(const char *root, const char *path) {
  char *joined;
  return asprintf(&joined, "%s/%s", root, path) < 0 ? NULL : joined;
}

// The program's own words, at most three. The compiled one, or this installation's own Node, whose compiled modules are kept
// beside the code: who may change one may change the other. Returns how many, 0 where there is neither.
static int own_words(const char *root, char **own) {
  own[0] = below(root, "build/bin/gantry-runtime");
  // What a command compiles for itself it would not run often enough to gain by it.
  setenv("BUN_JSC_useJIT", "0", 0);
  if (own[0] != NULL && access(own[0], X_OK) == 0) return 1;
  own[0] = below(root, "node_modules/.bin/node");
  own[1] = "--";  // else Node would take options of the same name for its own
  own[2] = below(root, "src/runtime/cli/main.ts");
  char *cache = below(root, "build/compile-cache");
  if (cache == NULL || own[0] == NULL || own[2] == NULL) return 0;
  setenv("NODE_COMPILE_CACHE", cache, 1);
  if (access(own[0], X_OK) == 0) return 3;
  dprintf(2, "gantry-runtime: %s is missing; run 'npm run setup' in %s\n", own[0], root);
  return 0;
}

char **program_words(int argc, char **argv) {
  static char counts[][2] = {"0", "1", "2", "3"};
  char *own[3];
  if (argc > 2 && strcmp(argv[0], PROGRAM_SELF) == 0) return argv;
  const char *root = installation();
  int count = root == NULL ? 0 : own_words(root, own);
  char **words = calloc((size_t)argc + 8, sizeof *words);
  if (count == 0 || words == NULL) return NULL;
  words[0] = PROGRAM_SELF;
  words[1] = counts[count];
  memcpy(words + 2, own, (size_t)count * sizeof *own);
  for (int i = 1; i < argc; i++) words[1 + count + i] = argv[i];
  return words;
}

void program_take(struct program *program, char **argv) {
  *program = (struct program){.words = argv + 2, .own = atoi(argv[1])};
}

void program_set_given_aside(void) {
  char text[16];
  int fd = FIRST_AFTER_STDIO;
  while (fcntl(fd, F_GETFD) >= 0) fcntl(fd++, F_SETFD, FD_CLOEXEC);
  snprintf(text, sizeof text, "%d", fd - FIRST_AFTER_STDIO);
  setenv("GANTRY_GIVEN_FDS", text, 1);
}

void program_give(unsigned first) {
  for (unsigned fd = FIRST_AFTER_STDIO; fd < first; fd++) fcntl((int)fd, F_SETFD, 0);
}

static _Noreturn void run(char **words, int socket) {
  // Where we are killed, it must not go on alone.
  pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(EXIT_UNKNOWN);
  if (socket == CONTROL) fcntl(socket, F_SETFD, 0);
  if (socket >= 0 && socket != CONTROL) dup2(socket, CONTROL);
  execve(words[0], words, environ);
  _exit(EXIT_UNKNOWN);
}

bool program_start(struct program *program, int socket) {
  char text[16];
  if (access(program->words[0], X_OK) < 0) return false;
  snprintf(text, sizeof text, "%d", CONTROL);
  setenv("GANTRY_LAUNCHER", text, 1);
  program->pid = vfork();
  if (program->pid == 0) run(program->words, socket);
  close(socket);
  return program->pid > 0;
}

int program_wait(const struct program *program) {
  int status;
  while (waitpid(program->pid, &status, 0) < 0)
    if (errno != EINTR) return EXIT_UNKNOWN << 8;
  return status;
}

static void let_signals_through(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

int program_end(int status) {
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  signal(WTERMSIG(status), SIG_DFL);
  let_signals_through();
  raise(WTERMSIG(status));
  return 128 + WTERMSIG(status);
}

void program_again(const struct program *program, const struct plan_arg *words) {
  if (words->length == 0) return;
  char **given = plan_strings(words);
  size_t more = 0;
  while (given != NULL && given[more] != NULL) more++;
  char **all = calloc((size_t)program->own + more + 1, sizeof *all);
  if (given == NULL || all == NULL) return;
  memcpy(all, program->words, (size_t)program->own * sizeof *all);
  memcpy(all + program->own, given, more * sizeof *all);
  unsetenv("GANTRY_LAUNCHER");
  struct program again = {.words = all, .pid = fork()};
  if (again.pid == 0) {
    let_signals_through();
    run(all, -1);
  }
  if (again.pid > 0) program_wait(&again);
}
