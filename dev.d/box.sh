# shellcheck shell=bash
# A federation on this machine: where it lies, what it was made with, starting and stopping it by `exarch-box`.

readonly FIRST_PORT=8440
STATE=$ROOT/.exarch
# Given by the caller, or what the directory was made with.
PORT_BASE=
# What the directory was made with; empty when it holds nothing yet.
MADE_PORT=
BIN=
# What `up` is told of replicas.
REPLICAS=()
# The directory of a federation that is needed once.
APART=

# box_option NAME VALUE…: one that all commands for a federation take.
box_option() {
  case $1 in
    --dir | --port-base) (($# > 1)) || misused "$1 needs a value" ;;
    *) misused "\`$1\` is no option of this command" ;;
  esac
  case $1 in
    --dir)
      [[ -n $2 ]] || misused "--dir needs a directory"
      STATE=$(cd "$HERE" && readlink -m -- "$2")
      ;;
    --port-base)
      [[ $2 =~ ^[0-9]{4,5}$ ]] && ((10#$2 >= 1024 && 10#$2 <= 60000)) || misused "--port-base is a number from 1024 to 60000"
      PORT_BASE=$((10#$2))
      ;;
  esac
}

box_options() {
  while (($#)); do box_option "$@" && shift 2; done
}

# box_open [FRESH]: with the ports and the programs that the directory was made with.
box_open() {
  MADE_PORT=$(cat "$STATE/port-base" 2>/dev/null) || :
  [[ $MADE_PORT =~ ^[0-9]*$ ]] || die "$STATE/port-base does not hold a number; it was not written by this script"
  if [[ -n $MADE_PORT && -n $PORT_BASE && $MADE_PORT != "$PORT_BASE" && ${1:-false} == false ]]; then
    die "the federation in $STATE was made with --port-base $MADE_PORT; keep it, or give another --dir, or start over by ./dev up --fresh"
  fi
  PORT_BASE=${PORT_BASE:-${MADE_PORT:-$FIRST_PORT}}
  BIN=$(bin_dir "$(cat "$STATE/profile" 2>/dev/null || echo dev)")
}

box_is_empty() { [[ -z $MADE_PORT ]]; }

# box_settle: the directory exists and is ours. Others may pass through, since Postgres runs under another account.
box_settle() {
  local found
  found=$(find "$STATE" -mindepth 1 -maxdepth 1 -not -name logs -print -quit 2>/dev/null) || :
  if box_is_empty && [[ -n $found ]]; then
    die "$STATE holds something else; give a directory that is empty or does not exist"
  fi
  mkdir -p -m 0711 "$STATE"
}

box_needs_programs() {
  [[ -x $BIN/exarch-box ]] || die "$BIN/exarch-box is missing, though a federation was made in $STATE; build it by ./dev up --detach"
}

box() { "$BIN/exarch-box" "$1" --dir "$STATE" --port-base "$PORT_BASE" --bin "$BIN" "${@:2}"; }

# box_up PROFILE FRESH DETACH: started and ready. Until then, and without DETACH also afterwards, whatever ends this script
# stops what has been started.
box_up() {
  BIN=$(bin_dir "$1")
  if $2 && ! box_is_empty; then box_wipe; fi
  printf '%s\n' "$PORT_BASE" >"$STATE/port-base"
  printf '%s\n' "$1" >"$STATE/profile"
  ATEND+=(box_stop)
  box up --detach "${REPLICAS[@]}" || die "the federation did not come up; its logs are in $STATE/logs"
  if $3; then ATEND=(); fi
  if $2; then box_story; fi
}

box_story() { box story || die "the story did not hold; the logs of the processes are in $STATE/logs"; }

box_stop() {
  say "Stopping what was started in $STATE"
  box down
}

# box_wipe: stops it and throws its data away; the logs of building stay.
box_wipe() {
  local note data
  PORT_BASE=$MADE_PORT box down
  for note in "$STATE"/global/postgres-dir "$STATE"/regions/*/postgres-dir; do
    # where a database lies outside, because its account cannot reach in here
    data=$(cat "$note" 2>/dev/null) || continue
    if [[ $data =~ ^/var/lib/exarch-box-[a-z0-9-]+$ ]]; then rm -rf -- "$data"; fi
  done
  find "$STATE" -mindepth 1 -maxdepth 1 -not -name logs -exec rm -rf -- {} +
  find "$STATE/logs" -type f -not -name 'dev-*' -delete 2>/dev/null || :
}

# box_apart PROFILE NAME: a place for a federation that is needed once; `box_apart_end` ends it and leaves nothing.
box_apart() {
  BIN=$(bin_dir "$1")
  STATE=$(mktemp -d "${TMPDIR:-/tmp}/exarch-$2.XXXXXX")
  APART=$STATE
  chmod 0711 "$STATE"
  MADE_PORT=$(free_ports)
  PORT_BASE=$MADE_PORT
}

box_apart_end() {
  local left
  [[ -n $APART && $STATE == "$APART" ]] || return 0
  box_wipe
  rm -rf "$STATE"
  left=$(processes_of "$STATE")
  if [[ -n $left ]]; then
    say "still running after the end: $left"
    return 1
  fi
}

# free_ports: a first port such that nobody listens where a federation would. Below the range that systems give out.
free_ports() {
  local base port
  for _ in {1..50}; do
    base=$((20000 + RANDOM % 900 * 10))
    for port in "$base" $((base + 1000)) $((base + 1100)); do
      for port in "$port" $((port + 1)) $((port + 2)) $((port + 9)); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 3; fi
      done
    done
    echo "$base"
    return
  done
  die "found no free ports"
}

# processes_of TEXT: those whose command line has it.
processes_of() {
  local file
  local -a line
  for file in /proc/[0-9]*/cmdline; do
    { mapfile -d "" line <"$file"; } 2>/dev/null || continue
    if [[ "${line[*]}" == *"$1"* ]]; then printf '%s (%s) ' "${file//[^0-9]/}" "${line[0]}"; fi
  done
}
