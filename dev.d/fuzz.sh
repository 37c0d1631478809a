# shellcheck shell=bash
# The API fuzzed by its own documents: schemathesis against the global and both listeners of one gateway of a federation of its own.

# Seconds of fuzzing, a third of them each for agents, for people in a region, and at the global. A round that has begun is ended.
FUZZ_SECONDS=${EXARCH_FUZZ_SECONDS:-600}
FUZZ_SEED=${EXARCH_FUZZ_SEED:-}
# Tries of each operation in a round: few, so that a round is short and the time is kept by their number. Agents ask little, and
# half of it damaged.
readonly FUZZ_TRIES=4 FUZZ_TRIES_OF_AGENTS=16

schemathesis_dir() { printf '%s' "$(target_dir)/schemathesis"; }

have_schemathesis() {
  [[ $(cat "$(schemathesis_dir)/exarch-lock" 2>/dev/null) == "$(schemathesis_lock)" ]]
}

schemathesis_lock() { sha256sum "$ROOT/tests/fuzz/requirements.txt" | cut -d ' ' -f 1; }

install_schemathesis() {
  local dir
  dir=$(schemathesis_dir)
  rm -rf "$dir"
  python3 -m venv "$dir"
  "$dir/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement "$ROOT/tests/fuzz/requirements.txt"
  schemathesis_lock >"$dir/exarch-lock"
}

# fuzz_seed: in CI one for all commits, so that a change is judged by what it changes and never fails by chance. By hand by
# chance: that is where something new is found.
fuzz_seed() {
  if [[ -n ${CI:-} ]]; then
    printf 11
  else
    printf '%d' $((RANDOM << 15 | RANDOM))
  fi
}

# One after the other: what the fuzzing does to the global must not end what it does in a region.
part_fuzz() {
  [[ $FUZZ_SECONDS =~ ^[1-9][0-9]*$ ]] || die "EXARCH_FUZZ_SECONDS is a number from 1 up"
  (build_web)
  build_servers dev
  have_schemathesis || install_schemathesis
  [[ -n $FUZZ_SEED ]] || FUZZ_SEED=$(fuzz_seed)
  echo "seed $FUZZ_SEED; again by EXARCH_FUZZ_SEED=$FUZZ_SEED ./dev test --only fuzz"
  trap 'kept_end fuzz fuzz_bridge_end' EXIT
  fuzz_in_memory
  box_apart dev fuzz
  box up --detach
  fuzz_unlimited
  local bad=0 FUZZ_BRIDGE=http://127.0.0.1:$((PORT_BASE + 19))
  fuzz_bridge
  fuzz_server agents "$REGIONAL_API" "$FUZZ_BRIDGE" || bad=1
  fuzz_server eu-north "$REGIONAL_API" "http://127.0.0.1:$((PORT_BASE + 1000))" || bad=1
  fuzz_server global "$GLOBAL_API" "http://localhost:$PORT_BASE" || bad=1
  return "$bad"
}

# A database that waits for a busy disk is answered with 503, which is right and would be taken for a fault.
fuzz_in_memory() {
  local free
  free=$(df --output=avail --block-size=1M /dev/shm 2>/dev/null | tail -n 1) || return 0
  if ((free >= 2000)); then export TMPDIR=/dev/shm; fi
}

# fuzz_bridge: the way to the agents' listener, open until this shell ends.
fuzz_bridge() {
  local line
  coproc BRIDGE { exec "$BIN/exarch-fuzz-bridge" "$STATE" "$PORT_BASE" eu-north "${FUZZ_BRIDGE##*:}"; }
  read -r -t 30 line <&"${BRIDGE[0]}" || die "the bridge to the agents' listener does not open"
  echo "$line"
}

fuzz_bridge_end() {
  [[ -n ${BRIDGE_PID:-} ]] || return 0
  exec {BRIDGE[1]}>&-
  wait "$BRIDGE_PID"
}

# Otherwise the limits on a tenant's requests and on sign-ins would answer most of them.
fuzz_unlimited() {
  printf '\n[limits]\ntenant_per_minute = 1000000\n[sign_in]\nper_minute = 1000\n' >>"$STATE/global/settings.toml"
  kill -HUP "$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).global.pids[0]' "$STATE/federation.json")"
}

# fuzz_server NAME DOCUMENT URL: rounds until a third of the time is over or one has failed, each with the next seed. The first
# asks every operation at the edges of what its schema says; all ask by chance, and in sequences. Of those behind it every
# third asks also what the document does not allow: that is refused early, and the rest is where the work is.
fuzz_server() {
  local round=0 began=$SECONDS code=0 phases=coverage,fuzzing,stateful mode=all
  while ((code == 0 && (round == 0 || SECONDS - began < FUZZ_SECONDS / 3))); do
    echo "round $((round + 1)), seed $((FUZZ_SEED + round))"
    fuzz_round "$@" $((FUZZ_SEED + round)) "$phases" "$mode" || code=$?
    round=$((round + 1)) phases=fuzzing,stateful
    if ((round % 3)); then mode=positive; else mode=all; fi
  done
  cat "$STATE/fuzz-$1.txt" || code=1
  if grep -q '^FAILED' "$STATE/fuzz-$1.txt"; then code=1; fi
  return "$code"
}

# fuzz_round NAME DOCUMENT URL SEED PHASES MODE
fuzz_round() (
  local tries=$FUZZ_TRIES
  [[ $1 != agents ]] || tries=$FUZZ_TRIES_OF_AGENTS
  export EXARCH_FEDERATION=$STATE/federation.json EXARCH_FUZZ_SERVER=$1 EXARCH_FUZZ_BRIDGE=$FUZZ_BRIDGE EXARCH_FUZZ_HOOKS=$ROOT/tests/fuzz/hooks.py
  export EXARCH_FUZZ_TALLY=$STATE/fuzz-$1 EXARCH_FUZZ_ROUND_SEED=$4 PYTHONDONTWRITEBYTECODE=1
  cd "$STATE"
  "$(schemathesis_dir)/bin/st" --no-color --config-file "$ROOT/tests/fuzz/schemathesis.toml" \
    run --phases "$5" --mode "$6" --max-examples "$tries" --seed "$4" --request-timeout 40 \
    "$ROOT/$2" --url "$3"
)
