// How a command is handed to a process that has the command line loaded already: a spare. Three take part.
//
//   starter  native/starter: `gantry` as it is called. Connects, hands over, passes signals on, ends as the command ends.
//   standby  native/standby: the engine's own child. Listens on a socket of root's alone, keeps spares, is their parent.
//   spare    src/cli/standby.ts: runs exactly one command with what it was handed, and ends.
//
//   starter → standby   struct standby_request, then, with the descriptors 0, 1, 2 and the working directory
//                       (SCM_RIGHTS): `bytes` bytes of NUL-ended strings, `argc` arguments and then the environment
//   standby → spare     the request and the connection (SCM_RIGHTS), over the spare's fd 3; the spare reads the rest
//   spare → starter     STANDBY_READY pid; nothing has been done yet
//   starter → spare     one byte: go. From here on the command runs there and nowhere else
//   spare → starter     STANDBY_EXITED code, once its descriptors 0, 1 and 2 are closed
//   standby → starter   STANDBY_KILLED signal or STANDBY_EXITED code, of a spare that ended without its own word
//
// A connection that is closed before `go` was not served: the starter runs the command itself. One that is closed after it by
// a starter that is gone ends the command.
#pragma once
#include <stdint.h>

enum { STANDBY_MAGIC = 0x31307367, STANDBY_MAX_BYTES = 4 << 20, STANDBY_DESCRIPTORS = 4 };

struct standby_request {
  uint32_t magic, umask, argc, bytes;
  // The program the starter would run: a spare of another one must not take its place.
  uint64_t program_device, program_inode, program_size, program_modified;
};

enum standby_reply_type { STANDBY_READY = 1, STANDBY_EXITED = 2, STANDBY_KILLED = 3 };

struct standby_reply {
  uint32_t type, value;
};
