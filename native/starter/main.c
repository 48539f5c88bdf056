// gantry: hands the command to a process that has the command line loaded (hand-over.c), or becomes the compiled program, or
// this installation's own Node, on which the daemons always run.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "starter.h"

enum { EXIT_CANNOT_RUN = 1 };

// The word may also be an argument of another command: that one is just slower to start then.
static bool names_daemon(char **argv) {
  for (char **word = argv + 1; *word != NULL; word++)
    if (strcmp(*word, "daemon") == 0 || strcmp(*word, "hub") == 0) return true;
  return false;
}

static void run_on_node(const struct installation *here, int argc, char **argv) {
  char node[PATH_MAX + 32], entry[PATH_MAX + 32], cache[PATH_MAX + 32];
  snprintf(node, sizeof node, "%s/node_modules/.bin/node", here->root);
  snprintf(entry, sizeof entry, "%s/build/node/main.mjs", here->root);
  if (access(entry, R_OK) < 0) snprintf(entry, sizeof entry, "%s/src/cli/main.ts", here->root);
  // Node keeps compiled modules beside the code, so that only who may change the code may change them.
  snprintf(cache, sizeof cache, "%s/build/compile-cache", here->root);
  setenv("NODE_COMPILE_CACHE", cache, 1);
  char **args = calloc((size_t)argc + 3, sizeof *args);
  if (args == NULL) return;
  args[0] = node;
  args[1] = "--"; // else Node would take an --env-file meant for the container for its own
  args[2] = entry;
  for (int i = 1; i < argc; i++) args[i + 2] = argv[i];
  execv(node, args);
  fprintf(stderr, "gantry: %s: %s; run 'npm run setup' in %s\n", node, strerror(errno), here->root);
}

// What became of the hand-over is a person's choice: GANTRY_STANDBY=never does without, =always fails without.
static void hand_over_if_wanted(const struct installation *here, int argc, char **argv) {
  const char *wanted = getenv("GANTRY_STANDBY");
  if (wanted != NULL && strcmp(wanted, "never") == 0) return;
  const char *reason = hand_over(here, argc, argv);
  if (wanted == NULL || strcmp(wanted, "always") != 0) return;
  fprintf(stderr, "gantry: GANTRY_STANDBY=always, and no spare took the command: %s\n", reason);
  exit(EXIT_CANNOT_RUN);
}

int main(int argc, char **argv) {
  struct installation here;
  if (argc < 1 || !find_installation(&here)) {
    fprintf(stderr, "gantry: cannot find the folder of this program by /proc/self/exe: %s\n", strerror(errno));
    return EXIT_CANNOT_RUN;
  }
  if (!names_daemon(argv) && access(here.compiled, X_OK) == 0) {
    hand_over_if_wanted(&here, argc, argv);
    execv(here.compiled, argv);
  }
  run_on_node(&here, argc, argv);
  return EXIT_CANNOT_RUN;
}
