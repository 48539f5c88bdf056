#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"

enum { CAPABILITY_BITS = 64 };

int step_rlimit(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  struct rlimit limit = {.rlim_cur = args[1].number, .rlim_max = args[2].number};
  return setrlimit((__rlimit_resource_t)args[0].number, &limit);
}

int step_umask(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  umask((mode_t)args[0].number);
  return 0;
}

int step_bounding(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  for (unsigned long bit = 0; bit < CAPABILITY_BITS; bit++) {
    if ((args[0].number >> bit & 1) != 0 || prctl(PR_CAPBSET_READ, bit) <= 0) continue;
    if (prctl(PR_CAPBSET_DROP, bit) < 0) return -1;
  }
  return 0;
}

int step_keep_caps(struct steps *steps, const struct plan_arg *args) {
  (void)steps, (void)args;
  return prctl(PR_SET_KEEPCAPS, 1);
}

int step_groups(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  return setgroups(args[0].length / sizeof(gid_t), (const void *)args[0].bytes);
}

int step_ids(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  uid_t uid = (uid_t)args[0].number;
  gid_t gid = (gid_t)args[1].number;
  return setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0 ? -1 : 0;
}

int step_capset(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  for (int i = 0; i < 2; i++)
    data[i] = (struct __user_cap_data_struct){
        .effective = (uint32_t)(args[0].number >> 32 * i),
        .permitted = (uint32_t)(args[1].number >> 32 * i),
        .inheritable = (uint32_t)(args[2].number >> 32 * i),
    };
  return (int)syscall(SYS_capset, &header, data);
}

int step_ambient(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return -1;
  for (unsigned long bit = 0; bit < CAPABILITY_BITS; bit++)
    if ((args[0].number >> bit & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bit, 0, 0) < 0) return -1;
  return 0;
}

int step_no_new_privileges(struct steps *steps, const struct plan_arg *args) {
  (void)steps, (void)args;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int step_seccomp(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  struct sock_fprog program = {
      .len = (unsigned short)(args[1].length / sizeof(struct sock_filter)),
      .filter = (void *)args[1].bytes,
  };
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, args[0].number, &program);
}

// keyrings(7): without a session keyring of its own the process could read the keys of whoever started it. A kernel
// without keys has none to read.
int step_keyring(struct steps *steps, const struct plan_arg *args) {
  (void)steps;
  return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, args[0].bytes) < 0 && errno != ENOSYS ? -1 : 0;
}
