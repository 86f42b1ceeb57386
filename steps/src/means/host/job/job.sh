# A remote job: work that outlives the connection that started it.
#
# Run as `sh -c 'eval "$1"' flow-job <this text> <action> …`; the wrapper runs from the copy in the job's folder.
# Every answer is one line that starts with `flow-job:`; nothing before it counts (a login shell may print things).
#
# The folder <base>/<run>/<step>.<attempt>, 0700, made by `mkdir`, which is the claim:
#   job.sh  this text          script  what runs          env    its variables, deleted before it runs
#   lock    held by the wrapper for as long as it lives    start  "<pid> <boot id>" of the wrapper
#   log     output and errors                              rc     "<status> <bytes of log>", written last, at once
#   never   stopped before it began: the wrapper that comes late does nothing

text=$1 action=$2 base=$3 run=$4 name=$5 machine=$6
dir=$base/$run/$name

say() { printf 'flow-job: %s\n' "$*"; }
fail() { say "error $*"; exit 0; }
# Old BusyBox has no `sync FILE`.
durable() { sync "$@" 2>/dev/null || sync; }
boot() { cat /proc/sys/kernel/random/boot_id; }
size() { if [ -f "$dir/log" ]; then wc -c <"$dir/log" | tr -d ' '; else echo 0; fi; }

check() {
    for tool in flock setsid head tail mktemp sync wc tr; do
        command -v "$tool" >/dev/null 2>&1 || fail "$tool is not installed on this host (util-linux and coreutils have it)"
    done
    [ -r /proc/self/stat ] || fail "this host has no /proc"
    [ -z "$machine" ] && return
    found=$(cat /etc/machine-id 2>/dev/null)
    [ "$found" = "$machine" ] || { say "wronghost ${found:-none}"; exit 0; }
}

# --- launch <epoch> <interpreter> <bytes of env> <bytes of script> <cwd> <folder of the lease> <the same, if a freeze is relied on>, env and script on standard input

launch() {
    epoch=$7 interpreter=$8 env_size=$9
    shift 9
    script_size=$1 cwd=$2 lease=$3 frozen=$4 mask=$(umask)
    umask 077
    command -v "$interpreter" >/dev/null 2>&1 || fail "$interpreter is not installed on this host"
    mkdir -p "$base/$run" || fail "the folder $base/$run cannot be made"
    new=$(mktemp -d "$base/$run/.new.XXXXXX") || fail "nothing can be written to $base/$run"
    trap 'rm -rf "$new"' EXIT
    head -c "$env_size" >"$new/env" && cat >"$new/script" && printf '%s\n' "$text" >"$new/job.sh" \
        || fail "the script could not be written to $base/$run; is the disk full?"
    # A connection that is cut ends standard input early: half a script must never run.
    [ "$(cat "$new/env" "$new/script" | wc -c)" -eq $((env_size + script_size)) ] || fail "the script arrived incomplete"
    durable "$new/env" "$new/script" "$new/job.sh"

    exec 8>>"$base/$run/epoch.lock" || fail "$base/$run/epoch.lock cannot be written"
    flock -w 20 8 || fail "another launch has held $base/$run/epoch.lock for 20 s"
    fence
    leased
    frozen
    # The claim is made under the same lock, so that no launch of an older epoch can follow a newer one.
    if ! mkdir "$dir" 2>/dev/null; then
        [ -d "$dir" ] || fail "the folder $dir cannot be made"
        say exists
        exit 0
    fi
    mv "$new/env" "$new/script" "$new/job.sh" "$dir/" || fail "the folder $dir cannot be filled"
    durable "$dir" "$base/$run"
    exec 6>&- 7>&- 8>&-
    setsid sh "$dir/job.sh" "" wrap "$base" "$run" "$name" "" "$interpreter" "$mask" "$cwd" </dev/null >/dev/null 2>&1 &
    tries=0
    while [ ! -s "$dir/start" ] && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    say started
}

# Refuses an epoch older than the newest this host has seen; a driver that lost its lease must not act any more.
fence() {
    seen=0
    if [ -e "$base/$run/epoch" ]; then
        seen=$(cat "$base/$run/epoch")
        case $seen in '' | *[!0-9]*) fail "$base/$run/epoch is damaged; write the run's newest epoch to it by hand" ;; esac
    fi
    [ "$epoch" -ge "$seen" ] || { say "fenced $seen"; exit 0; }
    [ "$epoch" -eq "$seen" ] && [ -e "$base/$run/epoch" ] && return
    printf '%s\n' "$epoch" >"$base/$run/epoch.new" && durable "$base/$run/epoch.new" && [ -s "$base/$run/epoch.new" ] \
        && mv "$base/$run/epoch.new" "$base/$run/epoch" || fail "$base/$run/epoch cannot be written"
    durable "$base/$run"
}

# Refuses a launch for an environment whose lease is another run's, or a newer process's of this run. The lease stays as
# it is until the claim is made: whoever changes it holds the same lock.
leased() {
    [ -n "$lease" ] || return 0
    [ -d "$lease" ] || { say unleased; exit 0; }
    exec 7>>"$lease/guard" || fail "$lease/guard cannot be written"
    flock -w 20 -s 7 || fail "somebody has held $lease/guard for 20 s"
    [ -e "$lease/held" ] || { say unleased; exit 0; }
    # One line of JSON: the run first, as ids have no quotes; a quote inside a text is escaped, so the epoch is found.
    held=$(cat "$lease/held")
    case $held in
    "{\"run\":\"$run\","*) ;;
    "{\"run\":\""*) held=${held#*:\"}; say "unleased ${held%%\"*}"; exit 0 ;;
    *) fail "$lease/held is damaged; look at it" ;;
    esac
    seen=$(printf '%s' "$held" | sed -n 's/.*[,{]"epoch":\([0-9][0-9]*\)[,}].*/\1/p')
    [ -n "$seen" ] || fail "$lease/held is damaged; look at it"
    [ "$epoch" -ge "$seen" ] || { say "fenced $seen"; exit 0; }
}

# Refuses a launch that relies on read-only mode once the timer beside the lease, or a person, has ended it. Whoever does so
# holds the same lock.
frozen() {
    [ -n "$frozen" ] || return 0
    [ -d "$frozen/watchdog" ] || { say thawed; exit 0; }
    exec 6>>"$frozen/watchdog/lock" || fail "$frozen/watchdog/lock cannot be written"
    flock -w 120 -s 6 || fail "$frozen/watchdog/lock has been held for two minutes"
    [ "$(cat "$frozen/watchdog/armed" 2>/dev/null)" = "$run" ] || { say thawed; exit 0; }
}

# --- wrap <interpreter> <umask> <cwd>: holds the lock, runs the script, records how it ended

wrap() {
    interpreter=$7 mask=$8 cwd=$9
    umask 077
    # `kill` ends the script with TERM; the wrapper stays, to record it. A trapped signal is not inherited.
    trap : TERM INT HUP
    exec 9>>"$dir/lock"
    # A probe may hold the lock for an instant.
    flock -w 20 9 || exit 1
    # Told to stop before it began. Both sides look while they hold the lock, so one of them sees the other.
    [ -e "$dir/never" ] && exit 1
    : >"$dir/log"
    # Room for the result, should the script fill the disk.
    head -c 4096 /dev/zero >"$dir/spare"
    printf '%s %s\n' "$$" "$(boot)" >"$dir/start.new" && durable "$dir/start.new" && mv "$dir/start.new" "$dir/start"
    [ -s "$dir/start" ] || exit 1
    # Descriptor 9 is closed for the script: a daemon it leaves behind must not hold the lock.
    (
        umask "$mask"
        . "$dir/env" && rm -f "$dir/env"
        if [ -n "$cwd" ]; then
            CDPATH= cd -- "$cwd" || exit 126
        fi
        exec "$interpreter" "$dir/script"
    ) </dev/null >>"$dir/log" 2>&1 9>&-
    code=$?
    rm -f "$dir/spare"
    printf '%s %s\n' "$code" "$(size)" >"$dir/rc.new" && durable "$dir/rc.new" && [ -s "$dir/rc.new" ] \
        && mv "$dir/rc.new" "$dir/rc" && durable "$dir"
}

# --- look <offset> <max>: what is known, then a piece of the log. Changes nothing.

# "<status> <bytes>" when the job has ended; an empty or torn file is no result.
result() {
    [ -f "$dir/rc" ] || return 1
    read -r code bytes <"$dir/rc" || return 1
    case $code in '' | *[!0-9]*) return 1 ;; esac
    case $bytes in '' | *[!0-9]*) return 1 ;; esac
}

held() { [ -e "$dir/lock" ] && ! flock -n -s "$dir/lock" true; }

# The live processes of the wrapper's session; a zombie is not alive.
session() {
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        pid=${line%% *}
        # The name in brackets may hold spaces and brackets itself.
        set -- ${line##*) }
        [ "$4" = "$sid" ] && [ "$1" != Z ] && [ "$1" != X ] && printf '%s ' "$pid"
    done
}

state() {
    [ -d "$dir" ] || { echo absent; return; }
    result && { echo "done $code $bytes"; return; }
    [ -e "$dir/never" ] && { echo never; return; }
    if held; then
        # The lock is taken an instant before the start is written.
        echo "running $(size)"
        return
    fi
    # It may have ended between the two looks: the result is written before the lock is let go.
    result && { echo "done $code $bytes"; return; }
    { read -r sid id <"$dir/start"; } 2>/dev/null || { echo claimed; return; }
    [ "$id" = "$(boot)" ] || { echo rebooted; return; }
    alive=$(session)
    if [ -n "$alive" ]; then echo "orphaned $alive"; else echo lost; fi
}

look() {
    offset=$7 max=$8
    # The result is read before the log, so that no tail is lost.
    now=$(state)
    say "$now"
    [ "$max" -gt 0 ] && [ -f "$dir/log" ] && tail -c "+$((offset + 1))" "$dir/log" | head -c "$max"
    return 0
}

# --- stop <seconds of grace> <epoch>: ends the whole session, first kindly; what has not begun never will

stop() {
    grace=$7 epoch=$8
    [ -d "$dir" ] || { say stopped; return; }
    umask 077
    exec 8>>"$base/$run/epoch.lock" || fail "$base/$run/epoch.lock cannot be written"
    flock -w 20 8 || fail "a launch has held $base/$run/epoch.lock for 20 s"
    fence
    exec 8>&-
    [ -s "$dir/start" ] || forbid
    { read -r sid id <"$dir/start"; } 2>/dev/null || { say stopped; return; }
    # Without the lock or a live process of this boot, the number may be someone else's by now.
    case $(state) in running* | orphaned*) ;; *) say stopped; return ;; esac
    [ "$id" = "$(boot)" ] || { say stopped; return; }
    tell TERM
    await "$grace" || { tell KILL; await 3; } || kill -KILL "$sid" 2>/dev/null
    tries=0
    while held && [ "$tries" -lt 30 ]; do sleep 0.1; tries=$((tries + 1)); done
    say stopped
}

# The wrapper may be late by as long as it waits for its lock.
forbid() {
    exec 9>>"$dir/lock" || fail "$dir/lock cannot be written"
    tries=0
    until flock -n 9; do
        [ -s "$dir/start" ] && { exec 9>&-; return; }
        [ "$tries" -lt 250 ] || fail "$dir/lock has been held for 25 s by something that has not begun"
        sleep 0.1
        tries=$((tries + 1))
    done
    if [ ! -s "$dir/start" ]; then
        echo never >"$dir/never.new" && durable "$dir/never.new" && mv "$dir/never.new" "$dir/never" && durable "$dir"
        [ -e "$dir/never" ] || fail "$dir/never cannot be written; the job may still begin"
    fi
    exec 9>&-
}

# To all but the wrapper, which writes the result and then ends by itself.
tell() {
    for pid in $(session); do
        [ "$pid" = "$sid" ] || kill "-$1" "$pid" 2>/dev/null
    done
}

# Until nothing but the wrapper is left, and then the wrapper too.
await() {
    left=$(($1 * 10))
    while [ "$left" -gt 0 ]; do
        [ -z "$(session)" ] && return 0
        sleep 0.1
        left=$((left - 1))
    done
    return 1
}

case $action in
wrap) wrap "$@" ;;
launch) check && launch "$@" ;;
look) check && look "$@" ;;
stop) check && stop "$@" ;;
*) fail "unknown action" ;;
esac
