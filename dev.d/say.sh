# shellcheck shell=bash
# How the script speaks, runs something long, and ends.

# Where commands that belong to no federation leave their logs.
LOGS=$ROOT/.exarch/logs
# The process group of what runs in the background; empty when nothing does.
JOB=
# How what `watch` ran has ended.
CODE=0
# What must be done before the script ends, whatever ends it: names of functions.
ATEND=()

RED='' GREEN='' DIM='' PLAIN=''
if [[ -t 2 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  RED=$'\e[31m' GREEN=$'\e[32m' DIM=$'\e[2m' PLAIN=$'\e[0m'
fi

say() { printf '%s\n' "$*" >&2; }

die() {
  say "${RED}dev: $*${PLAIN}"
  exit 1
}

misused() {
  say "${RED}dev: $*${PLAIN}; see ./dev help"
  exit 2
}

no_options() {
  if (($# > 1)); then misused "$1 takes no \`$2\`"; fi
}

have() { command -v "$1" >/dev/null 2>&1; }

# finish: the one way out. Ends what runs, then does what was promised; not to be interrupted.
finish() {
  local code=$? todo
  trap '' INT TERM HUP
  if [[ -n $JOB ]]; then
    kill -TERM -- "-$JOB" 2>/dev/null || :
    wait "$JOB" 2>/dev/null || :
    JOB=
  fi
  for todo in "${ATEND[@]}"; do "$todo" || code=1; done
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# spawn LOG COMMAND…: in the background, in a process group of its own, so that all of it can be ended together.
spawn() {
  local log=$1
  shift
  set -m
  (
    trap - EXIT INT HUP
    trap 'exit 143' TERM
    set +m
    "$@"
  ) </dev/null >"$log" 2>&1 &
  JOB=$!
  set +m
}

# rest: until a signal comes.
rest() {
  while :; do
    spawn /dev/null sleep 3600
    wait "$JOB" || :
  done
}

# watch WHAT LOG COMMAND…: runs it with its output in LOG, shows that it goes on, and leaves its exit code in CODE. It is
# never called behind `if` or `||`: there the shell would pass over failing commands of a function.
watch() {
  local what=$1 log=$2 began=$SECONDS told=0
  shift 2
  mkdir -p "${log%/*}"
  CODE=0
  spawn "$log" "$@"
  while kill -0 "$JOB" 2>/dev/null; do
    if [[ -t 2 ]]; then
      printf '\r\e[K  %4d s  %s  %s%s%s' $((SECONDS - began)) "$what" "$DIM" "$(last_line "$log")" "$PLAIN" >&2
    elif ((SECONDS - began >= told + 60)); then
      told=$((SECONDS - began))
      printf '  %4d s  %s: still at it\n' "$told" "$what" >&2
    fi
    sleep 0.2
  done
  wait "$JOB" 2>/dev/null || CODE=$?
  JOB=
  [[ ! -t 2 ]] || printf '\r\e[K' >&2
}

last_line() {
  local width=${COLUMNS:-80} line
  line=$(tail -c 400 "$1" 2>/dev/null | tr '\r' '\n' | tr -cd '[:print:]\n' | tail -n 1) || :
  printf '%s' "${line:0:$((width > 70 ? width - 60 : 10))}"
}

# step WHAT LOG COMMAND…: the same with one line about it; when it fails, the end of the log and where to read on.
step() {
  local what=$1 log=$2 began=$SECONDS
  watch "$@"
  if ((CODE == 0)); then
    printf '  %4d s  %s\n' $((SECONDS - began)) "$what" >&2
  else
    show_end "$log"
    die "$what: failed after $((SECONDS - began)) s; read $log"
  fi
}

show_end() { tail -n "${2:-30}" "$1" | sed 's/^/        /' >&2; }
