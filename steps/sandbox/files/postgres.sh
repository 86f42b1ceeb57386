#!/bin/bash
# The database container's only program: PostgreSQL over the volume, as the user that owns it.
set -eu
mkdir -p /var/run/postgresql
chown "$POSTGRES_UID:$POSTGRES_GID" /var/run/postgresql
exec setpriv "--reuid=$POSTGRES_UID" "--regid=$POSTGRES_GID" --clear-groups postgres -D /var/lib/postgresql/data \
  -c "listen_addresses=$LISTEN" -c unix_socket_directories=/var/run/postgresql -c shared_buffers=32MB -c max_connections=60
