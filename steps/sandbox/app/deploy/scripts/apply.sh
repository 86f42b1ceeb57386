#!/bin/bash
# The part of a deploy that belongs to the new release: dependencies, migrations, restart.
# DEPLOY_PAUSE: seconds to rest between the parts, so that a person can watch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

rest() { sleep "${DEPLOY_PAUSE:-0.5}"; }

if cmp -s node_modules/.installed package-lock.json; then
  echo "deploy: dependencies unchanged"
else
  echo "deploy: installing dependencies"
  npm ci --prefer-offline --no-progress --loglevel=error
  cp package-lock.json node_modules/.installed
fi
rest
echo "deploy: migrating the database"
# Only this command may write while the database is frozen; the application must not inherit the exception.
PGOPTIONS="${FLOW_MIGRATE_PGOPTIONS:-}" npx prisma migrate deploy
rest
echo "deploy: restarting"
if [ "${DAP_SUPERVISOR:-pm2}" = systemd ]; then
  systemctl --user daemon-reload
  systemctl --user restart dap-frontend.service
else
  pm2 startOrRestart ecosystem.config.js --update-env
fi
rest
echo "deploy: done, version $(node -p 'require("./package.json").version')"
