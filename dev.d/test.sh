# shellcheck shell=bash
# All tests, in parts. A part that fails does not keep the next from running.

# `build` comes before all that compiles, so that the times of the parts behind it are those of their tests.
PARTS=(fmt shell build clippy deny unit integration house web browser matrix hostile e2e fuzz openapi sqlx)
# One line a part: name, outcome, seconds, tests passed, tests failed.
RESULTS=()

# budget PART: seconds on two cores from nothing; a part that takes longer says so.
budget() {
  case $1 in
    fmt | shell) echo 30 ;;
    clippy) echo 480 ;;
    deny) echo 60 ;;
    build) echo 900 ;;
    unit) echo 600 ;;
    integration | browser | matrix) echo 480 ;;
    house) echo 180 ;;
    web) echo 180 ;;
    hostile) echo 360 ;;
    e2e | fuzz) echo 720 ;;
    openapi) echo 240 ;;
    sqlx) echo 240 ;;
  esac
}

cmd_test() {
  local part
  local -a only=()
  while (($#)); do
    case $1 in
      --only)
        [[ -n ${2:-} ]] || misused "--only needs the name of a part"
        is_part "$2" || misused "there is no part \`$2\`; there are ${PARTS[*]}"
        only+=("$2")
        shift 2
        ;;
      *) misused "test does not know \`$1\`" ;;
    esac
  done
  ((${#only[@]})) || only=("${PARTS[@]}")
  test_tools "${only[@]}"
  export CARGO_TERM_COLOR=never NO_COLOR=1
  for part in "${only[@]}"; do run_part "$part"; done
  summary
}

is_part() {
  local part
  for part in "${PARTS[@]}"; do
    [[ $part != "$1" ]] || return 0
  done
  return 1
}

# test_tools PART…: what they need and no more.
test_tools() {
  case " $* " in
    *" browser "* | *" matrix "* | *" hostile "* | *" e2e "* | *" fuzz "* | *" integration "*) need_tools test "$LOGS/dev-tools.log" ;;
    " fmt " | " shell " | " fmt shell ") need_rust "$LOGS/dev-tools.log" ;;
    *) need_tools up "$LOGS/dev-tools.log" ;;
  esac
}

# run_part NAME: `part_NAME` in a shell of its own that ends at the first failing command.
run_part() {
  local part=$1 log=$LOGS/dev-test-$1.log began=$SECONDS took passed failed outcome=ok allowed
  watch "part $part" "$log" "part_$part"
  took=$((SECONDS - began))
  read -r passed failed < <(count "$log")
  if ((CODE != 0)); then
    outcome=FAILED
    # broken off before a test could say that it failed
    if ((failed == 0)) && counts "$part"; then failed=1; fi
  elif ((passed == 0)) && counts "$part"; then
    outcome=FAILED
    echo "no test has run" >>"$log"
  fi
  grep -h '^NOT CHECKED' "$log" | sed 's/^/        /' >&2 || :
  if [[ $outcome == ok ]]; then
    say "${GREEN}part $part: ok in $took s${PLAIN}"
  else
    failures "$log"
    show_end "$log" 60
    say "${RED}part $part: FAILED in $took s; read $log${PLAIN}"
  fi
  allowed=$(budget "$part")
  if ((took > allowed)); then say "part $part: over its budget of $allowed s"; fi
  RESULTS+=("$part $outcome $took $passed $failed")
}

# failures LOG: the tests that failed, however far from the end they stand.
failures() {
  grep -hE '^test .* \.\.\. FAILED$|^thread .* panicked at |^ *(FAIL|FAILED|×|✗|not ok) ' "$1" | head -n 40 | sed 's/^ */        /' >&2 || :
}

# counts PART: whether it is made of tests, so that none at all is a failure.
counts() {
  case $1 in
    unit | integration | house | web | browser | matrix | hostile | e2e | fuzz) return 0 ;;
    *) return 1 ;;
  esac
}

# count LOG: tests passed and failed, by what cargo, vitest, the browser tests and the story print at their end.
count() {
  awk '
    /^test result: / { passed += $4; failed += $6 }
    /^ *Tests  / { for (n = 2; n <= NF; n++) { if ($n ~ /^passed/) passed += $(n - 1); if ($n ~ /^failed/) failed += $(n - 1) } }
    /^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3 }
    /^[0-9]+ steps, all as they should be/ { passed += $1 }
    END { print passed + 0, failed + 0 }' "$1"
}

summary() {
  local line part outcome took passed failed ok=0 bad=0 all_passed=0 all_failed=0
  printf '\n%-12s %-7s %7s %8s %8s\n' part outcome seconds passed failed
  for line in "${RESULTS[@]}"; do
    read -r part outcome took passed failed <<<"$line"
    printf '%-12s %-7s %7d %8d %8d\n' "$part" "$outcome" "$took" "$passed" "$failed"
    if [[ $outcome == ok ]]; then ok=$((ok + 1)); else bad=$((bad + 1)); fi
    all_passed=$((all_passed + passed)) all_failed=$((all_failed + failed))
  done
  printf '\ntests: %d passed, %d failed, in %d s\nparts: %d passed, %d failed\n' "$all_passed" "$all_failed" "$SECONDS" "$ok" "$bad"
  ((bad == 0))
}

part_fmt() { cargo fmt --all --check; }

part_shell() {
  local file
  for file in dev dev.d/*.sh .ci/run; do bash -n "$file"; done
  for file in "${PARTS[@]}"; do declare -F "part_$file"; done
  if have shellcheck; then
    shellcheck -x dev .ci/run
  else
    echo "NOT CHECKED: the scripts for more than syntax, while there is no shellcheck on this machine"
  fi
}

part_build() {
  (build_web)
  build_servers dev
  cargo test --workspace --no-run
}

part_clippy() { cargo clippy --workspace --all-targets -- -D warnings; }

part_deny() {
  if have cargo-deny; then
    cargo deny --offline check bans licenses sources
  else
    echo "NOT CHECKED: licences and sources of dependencies, while there is no cargo-deny on this machine"
    cargo test --workspace --test house -- nothing_banned
  fi
}

# Not cargo-nextest: the tests of one program share a database cluster, and nextest gives each test a process of its own.
part_unit() { cargo test --workspace --lib --bins --no-fail-fast; }

part_house() { cargo test --workspace --test house --test row_security --test isolation; }

part_integration() {
  local -a names
  mapfile -t names < <(test_targets)
  ((${#names[@]}))
  cargo test --workspace --no-fail-fast "${names[@]}"
}

# test_targets [PACKAGE]: `--test NAME` for the integration tests of a package; without one, of all that have no part of
# their own.
test_targets() {
  cargo metadata --no-deps --format-version 1 | node -e '
    const own = ["exarch-tests-house", "exarch-tests-federation"];
    const { packages } = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const names = packages
      .filter(({ name }) => (process.argv[1] ? name === process.argv[1] : !own.includes(name)))
      .flatMap(({ targets }) => targets.filter(({ kind }) => kind.includes("test")).map(({ name }) => name));
    for (const name of new Set(names)) console.log(`--test\n${name}`);' -- "$@"
}

part_web() {
  npm_packages global/dashboard
  npm --prefix global/dashboard test
}

part_browser() {
  (build_web)
  npm_packages tests/browser
  cd tests/browser
  node mocked.mjs
}

part_matrix() {
  build_servers dev
  cargo test --workspace --test matrix
}

part_hostile() {
  build_servers dev
  cargo test --workspace --test hostile
}

# Processes that start, come and go, and what is shipped for them; then the story told on a federation of its own, and the
# web app used against it.
part_e2e() {
  local name
  local -a names tests=()
  (build_web)
  build_servers dev
  mapfile -t names < <(test_targets exarch-tests-federation)
  for name in "${names[@]}"; do
    [[ $name == --test || $name == hostile || $name == matrix ]] || tests+=(--test "$name")
  done
  ((${#tests[@]}))
  cargo test --workspace --no-fail-fast "${tests[@]}"
  npm_packages tests/browser
  trap 'kept_end e2e' EXIT
  box_apart dev e2e
  box up --detach
  box story
  node tests/browser/run.mjs "$STATE/federation.json"
}

part_openapi() { openapi_check; }

part_sqlx() { sqlx_check; }

# kept_end PART [FUNCTION]: whatever ended the part. Logs of a failure are kept where the other logs are. FUNCTION ends what
# the part has started besides the box.
kept_end() {
  local code=$? kept=$LOGS/dev-test-$1
  trap '' TERM
  ${2:-:} || :
  rm -rf "$kept"
  if ((code != 0)) && cp -r "$STATE/logs" "$kept" 2>/dev/null; then echo "logs of its processes: $kept"; fi
  box_apart_end || exit 1
}
