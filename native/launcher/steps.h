// What the operations do. Each step returns 0, or -1 with errno; `detail` may then say what it was done to.
#pragma once
#include "launcher.h"

struct steps {
  const struct plan *plan;
  size_t index;                // of the operation being done
  int slots[LAUNCH_SLOTS];     // fds kept for later operations, or -1
  int fs;                      // being configured (fsopen), or -1
  int mount;                   // the current mount, not attached yet, or -1
  int root;                    // where paths are resolved, or -1: the process's own root
  int empty;                   // the tmpfs that covers masked directories, or -1
  int status;                  // to the parent
  int fifo;                    // the start fifo, O_PATH, or -1
  int proc_fds;                // the host's /proc/self/fd, with a start fifo
  char detail[STATUS_DETAIL];
};

typedef int step(struct steps *, const struct plan_arg *);

void steps_init(struct steps *steps, const struct plan *plan);
// One operation that is not `clone`, `ready` or `exec`.
int step_run(struct steps *steps, const struct plan_op *op);
// Names what the failing step was at. Returns -1.
int step_fail(struct steps *steps, int error, const char *about);

// namespaces.c
step step_open, step_pidfd, step_setns, step_write, step_unshare, step_propagation, step_hostname, step_domainname;
// mounts.c
step step_fsopen, step_fsconfig, step_fsmount, step_open_tree, step_setattr, step_root, step_attach, step_mask, step_readonly,
    step_root_attr, step_path_attr, step_pivot, step_chroot;
// nodes.c
step step_symlink, step_node, step_mkdir;
// console.c
step step_session, step_console, step_stdio_owner;
// credentials.c
step step_rlimit, step_umask, step_bounding, step_keep_caps, step_groups, step_ids, step_capset, step_ambient,
    step_no_new_privileges, step_seccomp, step_keyring;
// exec.c
step step_lookup;
// cwd.c
step step_cwd;

// child.c: everything after the clone; never returns.
_Noreturn void child_run(struct steps *steps, size_t first, const int stdio[3]);
// exec.c: returns the code to exit with, after it has told the parent.
int exec_run(struct steps *steps, const struct plan_op *op);
// Tells the parent what went wrong in the current operation.
void child_report(struct steps *steps, int error);

// in-root.c: paths of the container, every link resolved inside its root (openat2(2), RESOLVE_IN_ROOT).
enum in_root_links { LINKS_INSIDE, LINKS_REFUSED };
// O_PATH, or with other flags. -1 with errno.
int in_root_open(struct steps *steps, const char *path, uint64_t flags, enum in_root_links links);
// The same for a directory made with its parents where missing.
int in_root_directory(struct steps *steps, const char *path, mode_t mode, uid_t uid, gid_t gid, enum in_root_links links);
// The same for an empty file made where missing, with the directories it lies in.
int in_root_file(struct steps *steps, const char *path);
// The directory a path lies in (made where missing), and its last name in `name` (at least 256 bytes).
int in_root_parent(struct steps *steps, const char *path, char *name);
