# Reads only. One line for each thing found: a word, then values, with tabs between.
t=$(printf '\t')
printf 'home\t%s\n' "$HOME"
printf 'machine\t%s\n' "$(cat /etc/machine-id 2>/dev/null)"
printf 'address\t%s\n' "$(echo "${SSH_CONNECTION:-}" | cut -d' ' -f3)"
pid=$(cat "${PM2_HOME:-$HOME/.pm2}/pm2.pid" 2>/dev/null)
if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
  list=$(pm2 jlist 2>/dev/null | tr '\n\t' '  ' | sed -n 's/^[^{]*\[{/[{/p')
  printf 'pm2\t%s\n' "$list"
  printf '%s' "$list" | grep -o '"pm_cwd":"[^"]*"' | cut -d'"' -f4 | sort -u | while IFS= read -r folder; do
    top=$(git -c "safe.directory=*" -C "$folder" rev-parse --show-toplevel 2>/dev/null) &&
      printf 'folder\t%s\t%s\n' "$folder" "$top"
  done
fi
# Services of systemd that work in a checkout: whose, name, checkout, numbers of variables that are called a port.
units() {
  whose=$1
  shift
  "$@" list-units --type=service --state=running --plain --no-legend --no-pager 2>/dev/null | cut -d' ' -f1 | head -n 200 |
    while IFS= read -r unit; do
      folder=$("$@" show -p WorkingDirectory --value -- "$unit" 2>/dev/null)
      case $folder in /?*) ;; *) continue ;; esac
      top=$(git -c "safe.directory=*" -C "$folder" rev-parse --show-toplevel 2>/dev/null) || continue
      pid=$("$@" show -p MainPID --value -- "$unit" 2>/dev/null)
      ports=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | sed -n 's/^[A-Za-z0-9_]*PORT=\([0-9][0-9]*\)$/\1/p' | paste -sd, -)
      printf 'unit\t%s\t%s\t%s\t%s\n' "$whose" "${unit%.service}" "$top" "$ports"
    done
}
if command -v systemctl >/dev/null 2>&1; then
  units user systemctl --user
  units system systemctl
fi
# Services of docker compose in a checkout: name, checkout, image, ports.
docker ps --format '{{.Label "com.docker.compose.service"}}\t{{.Label "com.docker.compose.project.working_dir"}}\t{{.Image}}\t{{.Ports}}' 2>/dev/null |
  while IFS="$t" read -r service folder rest; do
    case $folder in /?*) ;; *) continue ;; esac
    top=$(git -c "safe.directory=*" -C "$folder" rev-parse --show-toplevel 2>/dev/null) || continue
    printf 'service\t%s\t%s\t%s\n' "$service" "$top" "$rest"
  done
# A container (or nothing), a role: each of its databases that Prisma has migrated.
look() {
  container=$1
  role=$2
  ask() {
    database=$1
    if [ -n "$container" ]; then
      docker exec -i "$container" psql -X -A -t -q -F "$t" -U "$role" -d "$database"
    else
      psql -X -A -t -q -w -F "$t" -U "$role" -d "$database"
    fi
  }
  echo "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate;" | ask postgres 2>/dev/null |
    while IFS= read -r name; do
      found=$(echo "SELECT count(*) FROM pg_class WHERE relname = '_prisma_migrations';" | ask "$name" 2>/dev/null)
      [ "${found:-0}" -gt 0 ] 2>/dev/null || continue
      printf 'database\t%s\t%s\t%s\n' "$container" "$role" "$name"
      echo "SELECT 'column', c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.table_name <> '_prisma_migrations' ORDER BY 2, c.ordinal_position;" |
        ask "$name" 2>/dev/null
    done
}
docker ps --format '{{.Names}} {{.Image}}' 2>/dev/null | grep -E 'postgres|supabase|postgis|timescale' | cut -d' ' -f1 |
  while IFS= read -r container; do
    # A container without printenv says so on standard output.
    role=$(docker exec "$container" printenv POSTGRES_USER 2>/dev/null) || role=
    look "$container" "${role:-postgres}"
  done
command -v psql >/dev/null 2>&1 && look '' "$(id -un)"
true
