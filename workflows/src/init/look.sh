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
    role=$(docker exec "$container" printenv POSTGRES_USER 2>/dev/null)
    look "$container" "${role:-postgres}"
  done
command -v psql >/dev/null 2>&1 && look '' "$(id -un)"
true
