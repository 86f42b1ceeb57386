#!/bin/bash
# image.sh PG_BIN OUT: packs this machine's own PostgreSQL, a shell and what a release runs beside them, with their
# libraries, into a tar that `docker import` takes. No registry is asked. Standard input becomes /postgres.sh.
set -euo pipefail
bin=$1 out=$2
root=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{usr,etc,tmp,root,proc,sys,dev,run,var/lib/postgresql/data}
ln -s ../run "$root/var/run"
chmod 1777 "$root/tmp"
for name in bin sbin lib lib64; do
  if [ -L "/$name" ]; then
    mkdir -p "$root/usr/$name"
    ln -s "usr/$name" "$root/$name"
  fi
done

programs=()
for name in awk basename bash cat chmod chown cmp cp cut date df dirname du echo env false find grep gunzip gzip head hostname id \
  kill ln ls mkdir mktemp mv nproc printf ps pwd readlink rm rmdir sed seq setpriv sh sha256sum sleep sort stat sync tail tar tee test \
  timeout touch tr true uname uniq wc which xargs xz zstd; do
  path=$(type -P "$name" || true)
  [ -z "$path" ] || programs+=("$path")
done
lib=$("$bin/pg_config" --pkglibdir)
share=$("$bin/pg_config" --sharedir)
# Compiling queries (llvmjit) would need a compiler five times the size of all the rest.
mapfile -t modules < <(find "$lib" -maxdepth 1 -name '*.so' ! -name 'llvmjit*')
mapfile -t commands < <(find "$bin" -type f)
files=("${programs[@]}" "${commands[@]}" "${modules[@]}")
mapfile -t libraries < <(for file in "${files[@]}"; do ldd "$file" 2> /dev/null || true; done | grep -oE '/[^ ]+' | sort -u)
cp -L --parents --preserve=mode "${files[@]}" "${libraries[@]}" "$root" 2> /dev/null || true
data=("${share#/}")
for path in usr/share/zoneinfo/UTC usr/share/zoneinfo/Etc usr/share/zoneinfo/Europe usr/lib/locale/C.utf8; do
  [ ! -e "/$path" ] || data+=("$path")
done
tar -C / -c "${data[@]}" | tar -C "$root" -x
grep -E '^(root|postgres|nobody):' /etc/passwd > "$root/etc/passwd"
grep -E '^(root|postgres|nogroup|nobody):' /etc/group > "$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files\n' > "$root/etc/nsswitch.conf"
cat > "$root/postgres.sh"
# Fails here rather than later on a host.
chroot "$root" "$bin/postgres" --version > /dev/null
chroot "$root" "$bin/psql" --version > /dev/null
tar -C "$root" -cf "$out" .
