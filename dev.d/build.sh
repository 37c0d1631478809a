# shellcheck shell=bash
# From sources to programs. What is up to date is not built again.

# bin_dir PROFILE: where cargo leaves the programs of a profile.
bin_dir() {
  local folder=$1
  [[ $1 != dev ]] || folder=debug
  printf '%s' "$(target_dir)/$folder"
}

target_dir() {
  local target=${CARGO_TARGET_DIR:-target}
  [[ $target == /* ]] || target=$ROOT/$target
  printf '%s' "$target"
}

# build_all PROFILE LOGS
build_all() {
  step "web app" "$2/dev-web.log" build_web
  step "servers, agents, command line" "$2/dev-build.log" build_servers "$1"
}

build_servers() {
  local -a locked=()
  [[ -z ${CI:-} ]] || locked=(--locked)
  cargo build --workspace --bins --profile "$1" "${locked[@]}"
}

# build_web: the web app into global/dashboard/dist, which the servers embed.
build_web() {
  local stamp=node_modules/.exarch-built hash
  npm_packages global/dashboard
  hash=$(web_hash)
  cd global/dashboard
  if [[ -f dist/index.html && $(cat "$stamp" 2>/dev/null) == "$hash" ]]; then return; fi
  npm run build
  printf '%s\n' "$hash" >"$stamp"
}

web_hash() {
  cd global/dashboard
  find . -type f -not -path './node_modules/*' -not -path './dist/*' -not -path './tests/*' -not -path './mock/*' -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
}

# npm_packages FOLDER: what its lock file names, when that has changed. Nothing here needs an install script.
npm_packages() {
  local stamp=node_modules/.exarch-lock hash
  hash=$(sha256sum "$1/package-lock.json" | cut -d ' ' -f 1)
  [[ $(cat "$1/$stamp" 2>/dev/null) != "$hash" ]] || return 0
  (
    cd "$1"
    npm ci --ignore-scripts
    printf '%s\n' "$hash" >"$stamp"
  )
}
