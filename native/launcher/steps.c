#define _GNU_SOURCE
#include "steps.h"

#include <errno.h>
#include <string.h>

void steps_init(struct steps *steps, const struct plan *plan) {
  *steps = (struct steps){
      .plan = plan, .fs = -1, .mount = -1, .root = -1, .empty = -1, .status = -1, .fifo = -1, .proc_fds = -1};
  for (int i = 0; i < LAUNCH_SLOTS; i++) steps->slots[i] = -1;
}

int step_fail(struct steps *steps, int error, const char *about) {
  size_t length = strnlen(about, sizeof steps->detail - 1);
  memmove(steps->detail, about, length);
  steps->detail[length] = 0;
  errno = error;
  return -1;
}

// Operations of the shim or gantry-launcher itself were read before.
static int step_read_already(struct steps *steps, const struct plan_arg *args) {
  (void)steps, (void)args;
  return 0;
}

static step *step_of(uint16_t code) {
  switch ((enum plan_code)code) {
    case OP_DIRECTORY:
    case OP_STDIO:
    case OP_LOG:
    case OP_PATIENCE:
    case OP_OOM_EVENTS:
    case OP_SYNC_EXIT:
    case OP_START_FIFO:
    case OP_CONSOLE_SOCKET:
    case OP_FOREGROUND:
    case OP_CLOSE_FDS:
    case OP_RUNTIME_HOOK:
      return step_read_already;
    case OP_OPEN:
      return step_open;
    case OP_PIDFD:
      return step_pidfd;
    case OP_SETNS:
      return step_setns;
    case OP_WRITE:
      return step_write;
    case OP_UNSHARE:
      return step_unshare;
    case OP_PROPAGATION:
      return step_propagation;
    case OP_FSOPEN:
      return step_fsopen;
    case OP_FSCONFIG:
      return step_fsconfig;
    case OP_FSMOUNT:
      return step_fsmount;
    case OP_OPEN_TREE:
      return step_open_tree;
    case OP_SETATTR:
      return step_setattr;
    case OP_ROOT:
      return step_root;
    case OP_ATTACH:
      return step_attach;
    case OP_SYMLINK:
      return step_symlink;
    case OP_NODE:
      return step_node;
    case OP_MKDIR:
      return step_mkdir;
    case OP_MASK:
      return step_mask;
    case OP_READONLY:
      return step_readonly;
    case OP_ROOT_ATTR:
      return step_root_attr;
    case OP_PATH_ATTR:
      return step_path_attr;
    case OP_HOSTNAME:
      return step_hostname;
    case OP_DOMAINNAME:
      return step_domainname;
    case OP_PIVOT:
      return step_pivot;
    case OP_CHROOT:
      return step_chroot;
    case OP_SESSION:
      return step_session;
    case OP_CONSOLE:
      return step_console;
    case OP_STDIO_OWNER:
      return step_stdio_owner;
    case OP_RLIMIT:
      return step_rlimit;
    case OP_CWD:
      return step_cwd;
    case OP_UMASK:
      return step_umask;
    case OP_BOUNDING:
      return step_bounding;
    case OP_KEEP_CAPS:
      return step_keep_caps;
    case OP_GROUPS:
      return step_groups;
    case OP_IDS:
      return step_ids;
    case OP_CAPSET:
      return step_capset;
    case OP_AMBIENT:
      return step_ambient;
    case OP_NO_NEW_PRIVILEGES:
      return step_no_new_privileges;
    case OP_SECCOMP:
      return step_seccomp;
    case OP_LOOKUP:
      return step_lookup;
    case OP_KEYRING:
      return step_keyring;
    case OP_WRITE_SLOT:
      return step_write_slot;
    case OP_USER_NAMESPACE:
      return step_user_namespace;
    case OP_IDMAP:
      return step_idmap;
    case OP_FS_IDS:
      return step_fs_ids;
    case OP_LAYER:
      return step_layer;
    case OP_FSPICK:
      return step_fspick;
    case OP_DEVICE_TREE:
      return step_device_tree;
    case OP_HOLD:
      return step_hold;
    case OP_TAKE:
      return step_take;
    case OP_COPY_UP:
      return step_copy_up;
    case OP_HOOK:
      return step_hook;
    case OP_CONNECT:
      return step_connect;
    case OP_SECCOMP_NOTIFY:
      return step_seccomp_notify;
    case OP_SCHEDULER:
      return step_scheduler;
    case OP_IO_PRIORITY:
      return step_io_priority;
    case OP_AFFINITY:
      return step_affinity;
    case OP_PERSONALITY:
      return step_personality;
    case OP_MEMORY_POLICY:
      return step_memory_policy;
    case OP_CLONE:
    case OP_HELPER:
    case OP_MEET:
    case OP_READY:
    case OP_EXEC:
    case OP_COMMAND:
      return NULL;
  }
  return NULL;
}

int step_run(struct steps *steps, const struct plan_op *op) {
  step *run = step_of(op->code);
  steps->detail[0] = 0;
  return run == NULL ? step_fail(steps, EINVAL, "the operation is out of place") : run(steps, op->args);
}
