#pragma once
#include <limits.h>
#include <stdbool.h>

// The files of this installation that a starter hands over to.
struct installation {
  char root[PATH_MAX];
  char compiled[PATH_MAX];
};

// False where a path is too long or /proc is missing.
bool find_installation(struct installation *here);

// Lets a spare run the command and ends as it ended (native/standby.h). Returns only where none took it, with the reason.
const char *hand_over(const struct installation *here, int argc, char **argv);

// Ends this process by the signal, as one that did not catch it.
_Noreturn void end_by(int signal);
