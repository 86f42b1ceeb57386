#!/usr/bin/env bash
# pm2: a process that is defined with `autostart: false` is never started by its own `cron_restart`.
#
# One would guess that `autostart: false` only keeps `pm2 start` from starting it at once, so that a job with
# `cron_restart` can be made known at rest and runs at its next time. pm2 registers the timer, shows the pattern, and when
# the timer fires restarts it through the same code, which returns before anything is started because `autostart` is false.
# The same definition without `autostart` runs. Nothing is logged as an error, and the exit code is 0.
set -euo pipefail

work=$(mktemp -d)
export PM2_HOME=$work/home
pm2=$work/node_modules/.bin/pm2
trap '"$pm2" kill >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

npm install --silent --no-audit --no-fund --prefix "$work" pm2@7.0.4 >/dev/null
echo "pm2 $("$pm2" --version 2>/dev/null | tail -1), node $(node --version)"

echo 'require("fs").appendFileSync(process.env.OUT, "ran\n")' >"$work/job.js"
definition() { # NAME MORE
  printf '{"name":"%s","script":"%s/job.js","autorestart":false,"cron_restart":"*/2 * * * * *","env":{"OUT":"%s/%s"}%s}' \
    "$1" "$work" "$work" "$1" "$2"
}
printf '{"apps":[%s,%s]}' "$(definition quiet ',"autostart":false')" "$(definition usual '')" >"$work/apps.json"
"$pm2" start "$work/apps.json" >/dev/null

runs() { if [ -f "$work/$1" ]; then wc -l <"$work/$1"; else echo 0; fi; }
for _ in $(seq 60); do
  [ "$(runs usual)" -ge 4 ] && break
  sleep 1
done
usual=$(runs usual)
quiet=$(runs quiet)
echo "runs by cron_restart: without autostart $usual, with autostart: false $quiet"
[ "$usual" -ge 4 ] || { echo "the usual job did not run: this says nothing"; exit 1; }
[ "$quiet" -eq 0 ] || { echo "changed: autostart: false no longer silences cron_restart"; exit 1; }
