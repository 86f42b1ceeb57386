#!/bin/sh
# flow-migrate COMMAND…: runs a migration that may write while flow keeps the database read-only for everybody else.
#
# libpq and node-pg read PGOPTIONS. Prisma's own engine reads no PG* variable: for it DATABASE_URL and DIRECT_URL, from the
# environment or from the project's .env, get the same options as a parameter. Nothing is printed and nothing is stored.

fail() { echo "flow-migrate: $*" >&2; exit 2; }

[ $# -gt 0 ] || fail "no command is given; such as: flow-migrate npx prisma migrate deploy"
# Outside of a release nothing is read-only.
[ -n "${FLOW_MIGRATE_QUERY:-}" ] || exec "$@"

# The last value of a variable in a .env file, without its quotes. The file is read, never run.
stored() {
    for file in .env prisma/.env; do
        [ -r "$file" ] || continue
        line=$(sed -n "s/^[[:space:]]*\(export[[:space:]][[:space:]]*\)\{0,1\}$1[[:space:]]*=[[:space:]]*//p" "$file" | tail -n 1)
        [ -n "$line" ] || continue
        case $line in
        \"*) line=${line#?}; line=${line%%\"*} ;;
        \'*) line=${line#?}; line=${line%%\'*} ;;
        *) line=${line%%[[:space:]]#*}; line=${line%"${line##*[![:space:]]}"} ;;
        esac
        printf '%s' "$line"
        return
    done
}

# A URL with the options of the migration, joined with those it has.
widened() {
    more=${FLOW_MIGRATE_QUERY#options=}
    case $1 in
    *\?*) ;;
    *) printf '%s?options=%s' "$1" "$more"; return ;;
    esac
    base=${1%%\?*} query=\&${1#*\?}
    case $query in
    *"&options="*)
        before=${query%%"&options="*} rest=${query#*"&options="}
        has=${rest%%&*} after=${rest#"${rest%%&*}"}
        query="$before&options=$has%20$more$after" ;;
    \&) query="&options=$more" ;;
    *) query="$query&options=$more" ;;
    esac
    printf '%s?%s' "$base" "${query#&}"
}

for name in DATABASE_URL DIRECT_URL; do
    eval "url=\${$name:-}"
    [ -n "$url" ] || url=$(stored "$name")
    case $url in
    '') continue ;;
    postgres://* | postgresql://*) ;;
    prisma://* | prisma+postgres://*) continue ;;
    *\$*) fail "$name refers to other variables; set it in the environment of the deploy script" ;;
    *) fail "$name is no URL of PostgreSQL" ;;
    esac
    # Prisma would put another variable's value there after this.
    case $url in *'${'*) fail "$name refers to other variables; set it in the environment of the deploy script" ;; esac
    url=$(widened "$url")
    eval "$name=\$url"
    export "${name?}"
done
PGOPTIONS="${PGOPTIONS:+$PGOPTIONS }$FLOW_MIGRATE_PGOPTIONS"
export PGOPTIONS
exec "$@"
