#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel.h"
#include "steps.h"

enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127, INIT_STATUS = 3, FIRST_AFTER_STDIO = 3 };

static bool is_missing(int error) { return error == ENOENT || error == ENOTDIR; }

// Tries the candidates in order, as execvp(3) does without its shell. Returns errno; `interpreter` where a file is there
// and the program it names is not.
static int try_candidates(const struct plan_arg *candidates, char **argv, char **env, bool *interpreter) {
  int verdict = ENOENT;
  for (const char *path = plan_next(candidates, NULL); path != NULL; path = plan_next(candidates, path)) {
    execve(path, argv, env);
    int error = errno;
    struct stat found;
    if (is_missing(error)) {
      if (stat(path, &found) == 0) {
        *interpreter = true;
        return error;
      }
      continue;
    }
    if (error == EACCES && stat(path, &found) == 0 && S_ISDIR(found.st_mode)) error = EISDIR;
    if (error != EACCES && error != EISDIR) return error;
    if (verdict == ENOENT || error == EACCES) verdict = error;
  }
  return verdict;
}

// How an error names the command: see src/runtime/launch-error.ts.
static void name_command(struct steps *steps, const char *name, bool interpreter) {
  snprintf(steps->detail, sizeof steps->detail, "%c%s", interpreter ? 'i' : strchr(name, '/') != NULL ? 's' : 'p', name);
}

// Whether execve(2) has a file to try. What only the process's own identity can tell is left to it.
int step_lookup(struct steps *steps, const struct plan_arg *args) {
  int verdict = ENOENT;
  for (const char *path = plan_next(&args[0], NULL); path != NULL; path = plan_next(&args[0], path)) {
    struct stat found;
    if (stat(path, &found) < 0) {
      if (!is_missing(errno)) return 0;
      continue;
    }
    if (!S_ISDIR(found.st_mode) && (found.st_mode & 0111) != 0) return 0;
    verdict = S_ISDIR(found.st_mode) ? EISDIR : EACCES;
  }
  name_command(steps, args[1].bytes, false);
  errno = verdict;
  return -1;
}

// An fd that stays open at exec, for the init that goes on reporting.
static int hand_status_to_init(struct steps *steps) {
  if (steps->status == INIT_STATUS) return fcntl(INIT_STATUS, F_SETFD, 0);
  int old = steps->status;
  if (dup2(old, INIT_STATUS) < 0) return -1;
  steps->status = INIT_STATUS;
  return close(old);
}

int exec_run(struct steps *steps, const struct plan_op *op) {
  char **argv = plan_strings(&op->args[1]), **env = plan_strings(&op->args[2]);
  const struct plan_op *preserve = plan_find(steps->plan, OP_CLOSE_FDS);
  unsigned first = preserve == NULL ? FIRST_AFTER_STDIO : (unsigned)preserve->args[0].number;
  bool interpreter = false;
  int error;
  if (argv == NULL || env == NULL || argv[0] == NULL)
    error = EINVAL;
  else if (sys_close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) < 0 || (op->args[3].number != 0 && hand_status_to_init(steps) < 0))
    error = errno;
  else
    error = try_candidates(&op->args[0], argv, env, &interpreter);
  name_command(steps, argv == NULL || argv[0] == NULL ? "" : argv[0], interpreter);
  child_report(steps, error);
  return is_missing(error) ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
