#!/bin/bash
# The first process of a host: starts what a boot starts, and takes in orphans.
cd /
mkdir -p /data/dap/backups
case ${ROLE:-whole} in
  whole | database) dockerd > /var/log/dockerd.log 2>&1 & ;;
  frontend)
    # A user's systemd and the journal, as after a login that lingers. Where the machine has the first version of cgroups,
    # the host has the second beside it.
    umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup
    group=/sys/fs/cgroup/$SLICE/user@0.service
    mkdir -p "$group" /run/systemd/system /run/systemd/journal /run/log/journal
    mkdir -m 700 -p /run/user/0
    /lib/systemd/systemd-journald > /var/log/journald.log 2>&1 &
    until [ -S /run/systemd/journal/stdout ]; do sleep 0.02; done
    (
      echo $BASHPID > "$group/cgroup.procs"
      XDG_RUNTIME_DIR=/run/user/0 exec /lib/systemd/systemd --user --log-target=journal
    ) > /var/log/systemd.log 2>&1 &
    ;;
esac
"$SSHD" -D -E /var/log/sshd.log &
# One that ends does not end the host; only a power cut does.
while :; do
  wait
  sleep 1
done
