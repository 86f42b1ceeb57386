#!/bin/bash
# Makes the root of a host and becomes its first process. Runs as process 1 of new mount, pid, uts and ipc namespaces.
# From the environment: NAME (of the host), HERE (its folder), ORIGIN, NPM and IMAGE (what it sees of the sandbox).
set -euo pipefail
mount --make-rprivate /

# What the host changes of this machine's files goes to memory, and is gone with the namespace: on a disk, the upper layer
# may not lie in the same file system as the lower one.
mount -t tmpfs -o mode=755 tmpfs "$HERE/layer"
mkdir "$HERE"/layer/{upper,work,root}
root=$HERE/layer/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$HERE/layer/upper,workdir=$HERE/layer/work" "$root"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root"/run/{sshd,lock} "$root"/{data,root,srv/git,opt/npm,etc/docker,etc/ssh} "$root"/var/{log,lib/docker}

# The lower layer may not change under the overlay; whatever does is bound instead.
mount --bind "$HERE/data" "$root/data"
mount --bind "$HERE/root" "$root/root"
mount --bind "$HERE/docker" "$root/var/lib/docker"
mount --bind "$HERE/log" "$root/var/log"
mount --bind "$ORIGIN" "$root/srv/git"
mount --bind "$NPM" "$root/opt/npm"
touch "$root/opt/postgres.tar"
mount --bind "$IMAGE" "$root/opt/postgres.tar"

# The host's own files.
rm -rf "$root/etc/ssh/sshd_config.d" "$root/etc/machine-id"
cp "$HERE"/etc/{sshd_config,ssh_host_ed25519_key,authorized_keys} "$root/etc/ssh/"
cp "$HERE"/etc/{machine-id,hosts} "$root/etc/"
cp "$HERE/etc/daemon.json" "$root/etc/docker/"
cp "$HERE"/lib/{host-init.sh,host-database.sh,database.env} "$root/run/"
ln -sfn /opt/npm/node_modules/.bin/pm2 "$root/usr/local/bin/pm2"
# sshd without PAM refuses an account whose password begins with `!`; `*` has no password either.
sed -i 's/^root:![^:]*:/root:*:/' "$root/etc/shadow"
hostname "$NAME"

cd "$root"
mkdir -p mnt/old
pivot_root . mnt/old
cd /
umount -l /mnt/old
exec /bin/bash /run/host-init.sh
