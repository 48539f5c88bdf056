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
  uint32_t host_pid;           // of this process as the parent knows it, once they have met
  char detail[STATUS_DETAIL];
};

typedef int step(struct steps *, const struct plan_arg *);

void steps_init(struct steps *steps, const struct plan *plan);
// One operation that is not `clone`, `ready` or `exec`.
int step_run(struct steps *steps, const struct plan_op *op);
// Names what the failing step was at. Returns -1.
int step_fail(struct steps *steps, int error, const char *about);

// The slot of a number that came in a plan, or NULL with errno.
int *slot_of(struct steps *steps, uint64_t number);

// namespaces.c
step step_open, step_pidfd, step_setns, step_write, step_write_slot, step_unshare, step_propagation, step_hostname,
    step_domainname;
// user-namespace.c
step step_user_namespace, step_idmap, step_fs_ids;
// mounts.c
step step_fsopen, step_fspick, step_fsconfig, step_layer, step_fsmount, step_open_tree, step_device_tree, step_hold, step_take, step_setattr,
    step_root, step_attach, step_mask, step_readonly, step_root_attr, step_path_attr, step_pivot, step_chroot;
// copy-up.c
step step_copy_up;
// nodes.c
step step_symlink, step_node, step_mkdir;
// console.c
step step_session, step_console, step_stdio_owner;
// credentials.c
step step_rlimit, step_umask, step_bounding, step_keep_caps, step_groups, step_ids, step_capset, step_ambient,
    step_no_new_privileges, step_seccomp, step_keyring;
// exec.c
step step_lookup;
// scheduling.c
step step_scheduler, step_io_priority, step_affinity, step_personality, step_memory_policy;
// seccomp-notify.c
step step_connect, step_seccomp_notify;
// hooks.c
step step_hook;
// Runs a hook's operation to its end, with the state that names `pid` as its stdin. -1 where it fails or takes too long.
int hook_run(struct steps *steps, const struct plan_arg *args, uint32_t pid);
// cwd.c
step step_cwd;

// helper.c: the operations between `helper` and the clone, in a process of their own. -1 where one fails: `failure` says
// which. The child is the caller's own.
int helper_clone(struct steps *steps, const int stdio[3], struct launched *launched);
// clone3(2) as the operation says; 0 in the child.
pid_t clone_process(const struct steps *steps, const struct plan_op *op, uint64_t more_flags, int *pidfd);

// child.c: everything after the clone; never returns.
_Noreturn void child_run(struct steps *steps, size_t first, const int stdio[3]);
// Makes them fds 0, 1 and 2.
int take_stdio(const int stdio[3]);
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
