#!/bin/bash
# release.sh deploy [COMMIT] | stop | start
#
# deploy: brings this host to COMMIT (a commit or branch of origin; default: main) and restarts the application.
# Every begin and end of a deploy is a line in the host's ledger, on disk before anything else happens.
set -euo pipefail

main() {
  app=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
  cd "$app"
  case "${1:-}" in
    deploy) deploy "${2:-main}" ;;
    stop) if [ "${DAP_SUPERVISOR:-pm2}" = systemd ]; then systemctl --user stop dap-frontend.service; else pm2 stop all; fi ;;
    start) if [ "${DAP_SUPERVISOR:-pm2}" = systemd ]; then systemctl --user start dap-frontend.service; else pm2 startOrRestart ecosystem.config.js --update-env; fi ;;
    *)
      echo "usage: release.sh deploy [COMMIT] | stop | start" >&2
      return 2
      ;;
  esac
}

deploy() {
  git fetch --quiet --tags origin
  local commit
  commit=$(git rev-parse --verify --quiet "origin/$1^{commit}" || git rev-parse --verify --quiet "$1^{commit}") || {
    echo "origin has no commit or branch named $1" >&2
    return 3
  }
  export DEPLOY_COMMIT=$commit DEPLOY_FROM
  DEPLOY_FROM=$(git rev-parse HEAD)
  # The line that says a deploy began is written by the release that is running now, the rest is done by the new one.
  deploy/scripts/ledger.sh begin
  trap 'deploy/scripts/ledger.sh end "$?"' EXIT
  echo "deploy: $DEPLOY_FROM -> $commit"
  git reset --quiet --hard "$commit"
  deploy/scripts/apply.sh
}

main "$@"
exit
