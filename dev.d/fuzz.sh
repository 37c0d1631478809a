# shellcheck shell=bash
# The API fuzzed by its own documents: schemathesis against the global and one gateway of a federation of its own.

# Tries of each operation; of more there is more to see, of fewer it is over sooner.
FUZZ_TRIES=${EXARCH_FUZZ_TRIES:-10}
FUZZ_SEED=${EXARCH_FUZZ_SEED:-}

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
  "$dir/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$ROOT/tests/fuzz/requirements.txt"
  schemathesis_lock >"$dir/exarch-lock"
}

# One after the other: what the fuzzing does to the global must not end what it does in a region.
part_fuzz() {
  [[ $FUZZ_TRIES =~ ^[1-9][0-9]*$ ]] || die "EXARCH_FUZZ_TRIES is a number from 1 up"
  (build_web)
  build_servers dev
  have_schemathesis || install_schemathesis
  [[ -n $FUZZ_SEED ]] || FUZZ_SEED=$((RANDOM << 15 | RANDOM))
  echo "seed $FUZZ_SEED; again by EXARCH_FUZZ_SEED=$FUZZ_SEED ./dev test --only fuzz"
  trap 'kept_end fuzz' EXIT
  box_apart dev fuzz
  box up --detach
  fuzz_unlimited
  local bad=0
  fuzz_server eu-north "$REGIONAL_API" "http://127.0.0.1:$((PORT_BASE + 1000))" || bad=1
  fuzz_server global "$GLOBAL_API" "http://localhost:$PORT_BASE" || bad=1
  return "$bad"
}

# Otherwise the limit on a tenant's requests would answer most of them.
fuzz_unlimited() {
  printf '\n[limits]\ntenant_per_minute = 1000000\n' >>"$STATE/global/settings.toml"
  kill -HUP "$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).global.pids[0]' "$STATE/federation.json")"
}

# fuzz_server NAME DOCUMENT URL: each operation at the edges of what its schema says and by chance, then sequences of them.
fuzz_server() (
  export EXARCH_FEDERATION=$STATE/federation.json EXARCH_FUZZ_SERVER=$1 EXARCH_FUZZ_HOOKS=$ROOT/tests/fuzz/hooks.py
  cd "$STATE"
  "$(schemathesis_dir)/bin/st" --no-color --config-file "$ROOT/tests/fuzz/schemathesis.toml" \
    run --phases coverage,fuzzing,stateful --max-examples "$FUZZ_TRIES" --seed "$FUZZ_SEED" "$ROOT/$2" --url "$3"
)
