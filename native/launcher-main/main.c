// gantry-launcher, by the name of gantry-runtime: what a caller of that sees. It runs the program (src/runtime/cli/, compiled
// or with this installation's Node), which decides, and may ask for one process, which is made here, as a child of ours and
// with our stdio (control.h). Ends as the program says, or as the process does that it handed over.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "control.h"
#include "foreground.h"
#include "launcher/self.h"
#include "program.h"

enum { EXIT_LAUNCH = 125 };

static int failed(const char *what) {
  dprintf(2, "gantry-runtime: %s: errno %d\n", what, errno);
  return EXIT_LAUNCH;
}

// Until what was begun is at its end. Returns the exit code.
static int serve(struct control *control, struct program *program) {
  while (control_take(control)) {
    if (control->done) return control->code;
    if (!control->handed_over) continue;
    int code = foreground(&control->launched, control->terminal);
    if (!control_clear(control)) program_again(program, &control->otherwise);
    return code;
  }
  int status = program_wait(program);
  // It ended without a word: nobody else can take care of what it had begun.
  if (control->launched.pid > 0 && control->started) kill_launched(&control->launched);
  if (control->otherwise.length > 0) program_again(program, &control->otherwise);
  return program_end(status);
}

int main(int argc, char **argv) {
  int pair[2];
  struct program program;
  argv = program_words(argc, argv);
  if (argv == NULL) return EXIT_LAUNCH;
  if (!run_from_read_only_mount(argv, PROGRAM_SELF)) return failed("running from a read-only mount");
  program_take(&program, argv);
  program_set_given_aside();
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return failed("socketpair");
  if (!program_start(&program, pair[1])) return failed("starting the program that decides");
  struct control control = {.socket = pair[0], .launched = {.pid = -1}};
  return serve(&control, &program);
}
