#!/bin/bash
# ledger.sh begin | end STATUS: appends one line to the host's ledger and waits until it is on disk.
set -euo pipefail
app=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
ledger=$(dirname "$app")/ledger
line="$(date -u +%Y-%m-%dT%H:%M:%SZ) $1 run=${FLOW_RUN:--} step=${FLOW_STEP:--} attempt=${FLOW_ATTEMPT:--} commit=${DEPLOY_COMMIT:--}"
[ "$1" = end ] && line="$line status=$2"
printf '%s\n' "$line" >> "$ledger"
sync "$ledger"
