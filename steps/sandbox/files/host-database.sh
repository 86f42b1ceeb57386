#!/bin/bash
# host-database.sh start | stop | kill: the container of this host's PostgreSQL. Starting twice is starting once.
set -euo pipefail
# shellcheck source=/dev/null
. /run/database.env # CONTAINER TAG PORT LISTEN POSTGRES_UID POSTGRES_GID PG_BIN

# Every call of the client ends, even when the daemon says nothing.
docker() { timeout 60 docker "$@"; }
patiently() {
  local until=$((SECONDS + 30))
  while [ $SECONDS -lt $until ]; do "$@" > /dev/null 2>&1 && return 0; sleep 0.04; done
  return 1
}
state() {
  local told
  # Of a missing container docker writes an empty line besides its error.
  told=$(docker inspect -f '{{.State.Running}}' "$CONTAINER" 2> /dev/null) || told=missing
  echo "$told"
}
create() {
  docker image inspect "$TAG" > /dev/null 2>&1 || docker import - "$TAG" < /opt/postgres.tar > /dev/null
  # SIGINT is PostgreSQL's fast shutdown; at SIGTERM it waits for its clients to leave.
  docker run -d --restart unless-stopped --stop-signal SIGINT --name "$CONTAINER" --network host --shm-size 256m \
    -v /data/postgres:/var/lib/postgresql/data -e "PATH=$PG_BIN:/usr/sbin:/usr/bin:/sbin:/bin" \
    -e "PGPORT=$PORT" -e "LISTEN=$LISTEN" -e "POSTGRES_UID=$POSTGRES_UID" -e "POSTGRES_GID=$POSTGRES_GID" \
    "$TAG" /bin/bash /postgres.sh > /dev/null
}
case ${1:-} in
  start)
    patiently docker version || { echo "dockerd did not answer within 30 s:" >&2; tail -n 5 /var/log/dockerd.log >&2; exit 1; }
    case $(state) in
      missing) create ;;
      true) ;;
      *) docker start "$CONTAINER" > /dev/null ;;
    esac
    patiently docker exec "$CONTAINER" pg_isready -q -h "$LISTEN" -U postgres -d postgres || {
      echo "PostgreSQL did not become ready within 30 s:" >&2
      docker logs --tail 5 "$CONTAINER" >&2
      exit 1
    }
    ;;
  stop) [ "$(state)" != true ] || docker stop -t 30 "$CONTAINER" > /dev/null ;;
  kill) [ "$(state)" != true ] || docker kill "$CONTAINER" > /dev/null ;;
  *) echo 'usage: host-database.sh start | stop | kill' >&2; exit 2 ;;
esac
