#!/bin/sh
# with-qemu.sh NAME COMMAND …: runs a command where binfmt_misc is mounted and QEMU, under a name of the test's own, is given
# what programs for arm64 begin with. The mount is in a private mount namespace: the kernel forgets the entry with it.
exec unshare --mount --propagation private sh -c '
  set -e
  mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  sed "s/^:[^:]*:/:$1:/" /usr/lib/binfmt.d/qemu-aarch64.conf > /proc/sys/fs/binfmt_misc/register
  shift
  exec "$@"' sh "$@"
