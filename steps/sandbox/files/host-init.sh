#!/bin/bash
# The first process of a host: starts what a boot starts, and takes in orphans.
cd /
mkdir -p /data/dap/backups
dockerd > /var/log/dockerd.log 2>&1 &
"$SSHD" -D -E /var/log/sshd.log &
# One that ends does not end the host; only a power cut does.
while :; do
  wait
  sleep 1
done
