// gantry-launcher COUNT PROGRAM [ARGUMENT…]: what a caller of gantry-runtime sees. It runs the program, whose own words are
// the first COUNT of these and whose caller's are the rest; the program decides (src/runtime/cli/), and may ask for one
// process, which is made here, as a child of ours and with our stdio (control.h). Ends as the program says, or as the
// process does that it handed over.
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
  int count = argc > 2 ? atoi(argv[1]) : 0;
  if (count < 1 || count > argc - 2) {
    dprintf(2, "usage: gantry-launcher COUNT PROGRAM [ARGUMENT...]\n");
    return EXIT_LAUNCH;
  }
  if (!run_from_read_only_mount(argv, "gantry-launcher")) return failed("running from a read-only mount");
  struct program program = {.words = argv + 2, .own = count};
  program_set_given_aside(&program);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return failed("socketpair");
  if (!program_start(&program, pair[1])) return failed(argv[2]);
  struct control control = {.socket = pair[0], .launched = {.pid = -1}};
  return serve(&control, &program);
}
