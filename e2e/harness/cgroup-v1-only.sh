#!/bin/sh
# cgroup-v1-only.sh COMMAND …: runs a command in a mount namespace where the host's cgroup v1 hierarchies are seen without
# the v2 one beside them. crun refuses a host that has both; everything else is as it was.
exec unshare --mount --propagation private sh -c '
  set -e
  seen=$(mktemp -d /tmp/gantry-cgroup-XXXXXX)
  mount -t tmpfs tmpfs "$seen"
  for hierarchy in /sys/fs/cgroup/*; do
    if [ -h "$hierarchy" ]; then
      cp -P "$hierarchy" "$seen/"
    elif [ "$(stat -f -c %T "$hierarchy")" = cgroupfs ]; then
      mkdir "$seen/${hierarchy##*/}"
      mount --bind "$hierarchy" "$seen/${hierarchy##*/}"
    fi
  done
  mount --move "$seen" /sys/fs/cgroup
  rmdir "$seen"
  exec "$@"' sh "$@"
