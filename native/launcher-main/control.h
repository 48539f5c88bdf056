// What the program asks of us, one SOCK_SEQPACKET packet each; src/runtime/cli/launcher.ts is the other end. Little-endian:
// `u32 kind`, then strings with their NULs, a list as `u32 bytes, strings`.
//   1 guard      list of words: from here on signals are kept for the process, and where the program dies it is run with
//                these words. None: nothing is to be done then.
//   2 launch     path of a plan. Answered by `u32 1, u32 pid, u64 start time` when the process waits for its start (with
//                `foreground` it starts at once), or an error (src/runtime/launch-error.ts).
//   3 hand over  list of paths, list of words: we see the process through, remove the files and empty directories, and end
//                as it did. Where one cannot be removed, or none is named, the program is run with the words.
//   4 done       u32 code: we end so.
//   5 adopt      u32 pid: a child of ours that was made by others is as if launched. 0: whoever loses its parent below us
//                becomes our child.
//   6 rootless   we go into a user namespace of our own, where our user is root and nobody else is anything, with mounts of
//                our own; answered by `u32 errno`, 0 for none.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "launcher/launcher.h"

struct control {
  int socket;
  struct plan plan;
  struct launched launched;
  bool started, terminal;  // of the process: whether it runs, whether its pty is ours to serve
  bool handed_over, done;
  int code;
  struct plan_arg remains, otherwise;  // lists
};

// Does the next thing that is asked. False where nobody is left to ask.
bool control_take(struct control *control);
// Removes what was to be removed. False where somebody else must.
bool control_clear(const struct control *control);
