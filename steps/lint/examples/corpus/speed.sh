#!/usr/bin/env bash
# Times `flow lint` and squawk on the same files, in turns: whatever else the machine does meets both.
#
#   FLOW=target/release/flow SQUAWK=/path/to/squawk steps/lint/examples/corpus/speed.sh FOLDER…
#
# Each FOLDER holds one project's migrations, Prisma's layout. ROUNDS (default 9) pairs are run; per tool it prints the fastest
# and the middle wall time and the middle processor time (user and system), in milliseconds. Without SQUAWK only flow is timed.
set -euo pipefail
flow=${FLOW:-target/release/flow}
rounds=${ROUNDS:-9}
[ $# -gt 0 ] || { sed -n '2,7p' "$0" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
find "$@" -mindepth 2 -maxdepth 2 -name migration.sql -print0 | sort -z > "$work/files"
echo "$(tr -cd '\0' < "$work/files" | wc -c) files in $# folders, $rounds rounds"

TIMEFORMAT='%3R %3U %3S'
# Findings end either tool with another code than 0; what is not a finding ends the comparison.
once() {
    local tool=$1 code=0
    shift
    { time "$@" > "$work/out" 2> "$work/err" || code=$?; } 2>> "$work/$tool"
    if [ "$code" -gt 1 ] && [ "$code" -ne 123 ]; then
        echo "$tool ended with $code:" >&2
        head -n 5 "$work/err" >&2
        exit 1
    fi
}

for ((round = 0; round < rounds; round++)); do
    once flow "$flow" lint --format json "$@"
    if [ -n "${SQUAWK:-}" ]; then
        once squawk xargs -0 -a "$work/files" "$SQUAWK" --reporter json --assume-in-transaction --pg-version=15.0
    fi
done

for tool in flow squawk; do
    [ -e "$work/$tool" ] || continue
    middle=$(((rounds + 1) / 2))
    wall=$(awk '{ printf "%d\n", $1 * 1000 }' "$work/$tool" | sort -n)
    cpu=$(awk '{ printf "%d\n", ($2 + $3) * 1000 }' "$work/$tool" | sort -n)
    echo "$tool: fastest $(head -n 1 <<< "$wall") ms, middle $(sed -n "${middle}p" <<< "$wall") ms of wall," \
        "$(sed -n "${middle}p" <<< "$cpu") ms of processor"
done
