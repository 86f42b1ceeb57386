# A timer on the database's host that ends read-only mode when nobody drives the release any more.
#
# Run as `sh -c 'eval "$1"' flow-watchdog <this text> <action> <folder of the lease> <run> …`; the timer runs from the copy
# in its folder. Every answer is one line that starts with `flow-watchdog:`; nothing before it counts.
#
# <lease>/watchdog, 0700:
#   lock   held while something here changes      armed   the run whose freeze it is; a timer of any other run ends itself
#   history  one line for each opening
#   <run>/ watchdog.sh  this text     psql, thaw.sql  what opens the database     seconds, limit, jobs  see `arm`
#          beat  written anew by the driver           alive   locked by the timer for as long as it lives
#          opened  "<seconds since 1970> <jobs it ended, or ->", once it has opened the database      log

text=$1 action=$2 lease=$3 run=$4
base=$lease/watchdog
own=$base/$run

say() { printf 'flow-watchdog: %s\n' "$*"; }
fail() { say "error $*"; exit 0; }
# Old BusyBox has no `sync FILE`.
durable() { sync "$@" 2>/dev/null || sync; }
put() { printf '%s\n' "$2" >"$1.new" && durable "$1.new" && [ -s "$1.new" ] && mv -f "$1.new" "$1"; }
armed() { cat "$base/armed" 2>/dev/null; }
alive() { [ -e "$own/alive" ] && ! flock -n "$own/alive" true; }
# A timer that is opening the database holds it for as long as `psql` takes.
lock() { exec 8>>"$base/lock" && flock -w 120 8; }
unlock() { flock -u 8; exec 8>&-; }

# --- arm <seconds> <limit of a job> <folder of the jobs> <beat> <bytes of the command> <new|keep>, command and SQL on standard input

arm() {
    seconds=$5 limit=$6 jobs=$7 beat=$8 size=$9
    shift 9
    how=$1
    umask 077
    for tool in flock setsid timeout head stat mktemp; do
        command -v "$tool" >/dev/null 2>&1 || fail "$tool is not installed on this host (util-linux and coreutils have it)"
    done
    mkdir -p "$own" || fail "the folder $own cannot be made"
    new=$(mktemp -d "$own/.new.XXXXXX") || fail "nothing can be written to $own"
    trap 'rm -rf "$new"' EXIT
    head -c "$size" >"$new/psql" && cat >"$new/thaw.sql" && printf '%s\n' "$text" >"$new/watchdog.sh" || fail "$own cannot be written; is the disk full?"
    # A connection that is cut ends standard input early.
    tail -n 1 "$new/thaw.sql" | grep -q '^\\echo flow-opened$' || fail "the statements arrived incomplete"
    lock || fail "$base/lock has been held for two minutes"
    before=$(cat "$own/opened" 2>/dev/null)
    rm -f "$own/opened"
    if [ "$how" = new ] || [ ! -s "$own/thaw.sql" ]; then mv -f "$new/psql" "$new/thaw.sql" "$own/"; fi
    mv -f "$new/watchdog.sh" "$own/"
    put "$own/seconds" "$seconds" && put "$own/limit" "$limit" && put "$own/jobs" "$jobs" && put "$own/beat" "$beat" \
        && put "$base/armed" "$run" || fail "$own cannot be written; is the disk full?"
    durable "$own" "$base"
    start || { rm -f "$base/armed"; fail "the timer in $own did not begin"; }
    say "armed ${before:--}"
}

start() {
    alive && return 0
    setsid sh "$own/watchdog.sh" "" watch "$lease" "$run" </dev/null >>"$own/log" 2>&1 8>&- &
    tries=0
    until alive; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || return 1
        sleep 0.1
    done
}

# --- renew <beat>: the driver is there. A timer that a restart of the host ended is started again.

renew() {
    umask 077
    [ "$(armed)" = "$run" ] || { state; return; }
    put "$own/beat" "$5" || fail "$own/beat cannot be written"
    alive || { lock && [ "$(armed)" = "$run" ] && start; }
    state
}

# --- look: what is known of this run's freeze. Changes nothing.

state() {
    now=$(armed)
    if [ -n "$now" ] && [ "$now" = "$run" ]; then
        if alive; then say armed -; else say dead; fi
    elif [ -s "$own/opened" ]; then say "opened $(cat "$own/opened")"
    elif [ -n "$now" ]; then say "other $now"
    else say none; fi
}

# --- whose: the run whose freeze it is, whether its timer lives, and which of its jobs run. Changes nothing.

whose() {
    run=$(armed)
    [ -n "$run" ] || { say nobody; return; }
    own=$base/$run
    jobs=$(cat "$own/jobs" 2>/dev/null)
    if alive; then now=alive; else now=dead; fi
    say "$run $now $(running)"
}

# --- disarm: the database is open again, or is opened by whoever says so. Waits until the timer is gone.

disarm() {
    [ -d "$own" ] || { say "disarmed -"; return; }
    lock || fail "$base/lock has been held for two minutes"
    [ "$(armed)" = "$run" ] && rm -f "$base/armed" && durable "$base"
    unlock
    tries=0
    while alive && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    before=$(cat "$own/opened" 2>/dev/null)
    alive || rm -rf "$own"
    say "disarmed ${before:--}"
}

# --- note <text>: what somebody did by hand, for the record

note() {
    umask 077
    mkdir -p "$base" && printf '%s %s\n' "$(date +%s)" "$5" >>"$base/history" || fail "$base/history cannot be written"
    say noted
}

# --- watch: the timer itself

watch() {
    umask 077
    trap '' HUP INT
    exec 9>>"$own/alive"
    flock -w 20 9 || exit 1
    idle=0 last= ended=
    limit=$(cat "$own/limit") jobs=$(cat "$own/jobs")
    while [ "$(armed)" = "$run" ]; do
        beat=$(cat "$own/beat" 2>/dev/null)
        if [ "$beat" != "$last" ]; then
            last=$beat idle=0
        elif [ "$idle" -ge "$(cat "$own/seconds")" ]; then
            open_up && break
        fi
        sleep 1 9>&-
        idle=$((idle + 1))
    done
}

# Looked at again under the lock: a driver may have come back, and a launch holds it while it claims its folder.
open_up() {
    jobs_over || return 1
    lock || return 1
    if [ "$(armed)" = "$run" ] && [ "$(cat "$own/beat" 2>/dev/null)" = "$last" ] && jobs_over; then
        said=$(timeout 300 sh "$own/psql" <"$own/thaw.sql" 9>&- 8>&-)
        case $said in
        *flow-opened*)
            put "$own/opened" "$(date +%s) ${ended:--}"
            printf '%s %s opened by its timer; jobs ended: %s\n' "$(date +%s)" "$run" "${ended:--}" >>"$base/history"
            rm -f "$base/armed"
            durable "$base" "$own"
            unlock
            return 0
            ;;
        esac
    fi
    unlock
    sleep 4 9>&-
    return 1
}

# What a job of this run is doing, in the job's own words.
job() { sh "$jobs/$run/$1/job.sh" "" "$2" "$jobs" "$run" "$1" "" "$3" "$4" 9>&- 8>&- | sed -n 's/^flow-job: //p'; }

# The names of this run's jobs that have not ended.
running() {
    for folder in "$jobs/$run"/*/; do
        [ -f "$folder/job.sh" ] || continue
        name=${folder%/}
        name=${name##*/}
        case $(job "$name" look 0 0) in running* | orphaned* | claimed*) printf '%s ' "$name" ;; esac
    done
}

# Whether no job of this run is left. One that has had its time is ended, and nothing else ever is.
jobs_over() {
    for name in $(running); do
        age=$(($(date +%s) - $(stat -c %Y "$jobs/$run/$name/job.sh")))
        [ "$age" -ge "$limit" ] || return 1
        job "$name" stop 10 "$(cat "$jobs/$run/epoch" 2>/dev/null || echo 0)" >/dev/null
        case $(job "$name" look 0 0) in running* | orphaned* | claimed*) return 1 ;; esac
        ended="$ended${ended:+,}$name"
    done
}

case $action in
arm) arm "$@" ;;
renew) renew "$@" ;;
look) state ;;
whose) whose ;;
disarm) disarm ;;
note) note "$@" ;;
watch) watch ;;
*) fail "unknown action" ;;
esac
