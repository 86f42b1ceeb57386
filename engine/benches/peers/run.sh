#!/usr/bin/env bash
# Compares `flow` with Restate and DBOS (docs/performance-peers.md). Installs both below target/peers, builds, runs.
# Needs what `make deps` installs, and python3 with venv, strace and setpriv. Nothing of it is left running.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
peers=$(cd "$here/../../.." && pwd)/target/peers
restate=1.7.12
dbos=3.4.0
export RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-1.95.0}

for program in npm python3 strace setpriv cargo; do
  type -P $program > /dev/null || { echo "peers: $program is missing" >&2; exit 1; }
done
postgres=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | sort -V | tail -n 1)
[ -n "$postgres" ] || postgres=$(dirname "$(type -P postgres)") || { echo "peers: PostgreSQL is missing" >&2; exit 1; }

mkdir -p "$peers/npm"
if [ "$(cat "$peers/npm/version" 2> /dev/null)" != $restate ]; then
  npm install --prefix "$peers/npm" --ignore-scripts --no-audit --no-fund --no-save --loglevel=error \
    "@restatedev/restate-server@$restate"
  echo $restate > "$peers/npm/version"
fi
if [ "$(cat "$peers/venv/version" 2> /dev/null)" != $dbos ]; then
  python3 -m venv "$peers/venv"
  "$peers/venv/bin/pip" install --quiet --disable-pip-version-check "dbos==$dbos" 'psycopg[binary]==3.3.9'
  echo $dbos > "$peers/venv/version"
fi
cargo build --locked --release --quiet --manifest-path "$here/Cargo.toml" --target-dir "$peers/build"
PEERS_TOOLS=$peers PEERS_POSTGRES=$postgres exec "$peers/build/release/flow-bench-peers"
