# shellcheck shell=bash
# What a fresh machine lacks: found, named with its reason, installed.
#
# Tested on Debian 12; Ubuntu from 24.04 and AlmaLinux from 10 by the same tables, untested.

POSTGRES_OLDEST=15

RUSTUP_VERSION=1.28.2
RUSTUP_SHA256_x86_64=20a06e644b0d9bd2fbdbfd52d42540bdde820ea7df86e92e533c073da0cdd43c
RUSTUP_SHA256_aarch64=e3853c5a252fca15252d07cb23a1bdd9377a8c6f3efa01531109281ae47f841c

# Debian 12 and Ubuntu 24.04 carry a Node.js that is too old, so there is one way for all: one version, from the registry
# that the web app's own packages come from, checked against these hashes.
NODE_OLDEST=20.19
NODE_VERSION=24.21.0
NODE_SHA512_x86_64=de750bb336795f47dc898a46d2de93add029273027f3e16520d3fa3a2317ed5f07aefa404cf37ddfa5352e545e389ae22d16b87bcc84a900580a72f23cd02ced
NODE_SHA512_aarch64=1692513c4cf63afbd32df8c83a5346158f492cf30a825e66f9de2819804b836e242759a6bcdd5997f1cf2601781c3689e752127afd65d5c459fc333e91e5d6e6
NPM_VERSION=11.21.2
NPM_SHA512=ec73c0a64f807e53146af4ac78bd4f9ba0a762a3081e4e77c7e2a6ba1aa64c3a8f9233cc8312294cf713aac13dd4428dc3880504957d7e75e249d1a6d435eaf4

OWN_NODE=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/exarch/node-$NODE_VERSION

# need_tools up|test LOG: installs what is missing; what the machine has is left alone.
need_tools() {
  local what=$1 log=$2 missing need
  find_tools
  missing=$(missing_tools "$what")
  [[ -n $missing ]] || return 0
  say "Missing on this machine:"
  tell_missing "$missing"
  install_packages "$log" "$missing"
  for need in $missing; do
    case $need in
      rust) install_rust "$log" ;;
      node) install_node "$log" ;;
    esac
  done
  find_tools
  missing=$(missing_tools "$what")
  [[ -z $missing ]] || die "still missing after the installation: ${missing//$'\n'/, }; read $log"
}

# tools_missing up|test: the same, told only.
tools_missing() {
  local missing
  find_tools
  missing=$(missing_tools "$1")
  if [[ -z $missing ]]; then say "Nothing is missing."; else tell_missing "$missing"; fi
}

need_rust() {
  find_tools
  if have_rust; then return; fi
  say "Missing on this machine:"
  tell_missing rust
  install_packages "$1" "$(have curl || have rustup || echo curl)"
  install_rust "$1"
}

find_tools() {
  local cargo_bin=${CARGO_HOME:-$HOME/.cargo}/bin
  [[ :$PATH: == *:$cargo_bin:* ]] || PATH=$cargo_bin:$PATH
  have_node || [[ ! -x $OWN_NODE/bin/npm ]] || PATH=$OWN_NODE/bin:$PATH
  hash -r
}

missing_tools() {
  local fetch=false
  have_postgres || echo postgres
  have_compiler || echo compiler
  have_rust || { fetch=true && echo rust; }
  have_node || { fetch=true && echo node; }
  if $fetch && ! have curl; then echo curl; fi
  [[ $1 == test ]] || return 0
  have_chromium || echo chromium
  have_keyring || echo keyring
  have_venv || echo venv
  have shellcheck || echo shellcheck
  # Where the distribution has none the tests say what they did not check.
  if [[ $(packager) == apt-get ]]; then
    have_pgbouncer || echo pgbouncer
    have_faketime || echo faketime
  fi
}

reason() {
  case $1 in
    postgres) echo "PostgreSQL server programs, $POSTGRES_OLDEST or newer: the global controller and each region have a database of their own" ;;
    compiler) echo "a C compiler and linker: to build the servers and their one cryptographic library" ;;
    rust) echo "Rust $(channel): to build the servers" ;;
    node) echo "Node.js, $NODE_OLDEST or newer, with npm: to build the web app" ;;
    curl) echo "curl: to fetch Rust or Node.js" ;;
    keyring) echo "a keyring and a session bus: the command line's test keeps its token there, as on a desktop" ;;
    chromium) echo "Chromium: the browser tests use the web app as a person would" ;;
    venv) echo "Python 3.10 or newer with venv: schemathesis, which fuzzes the API, gets an environment of its own" ;;
    shellcheck) echo "ShellCheck: reads these scripts as critically as clippy reads Rust" ;;
    faketime) echo "libfaketime: a test lets 45 days pass on the clocks of a region" ;;
    pgbouncer) echo "PgBouncer: tests put a pooler between servers and their databases" ;;
  esac
}

how() {
  case $1 in
    rust) if have rustup; then echo "rustup toolchain install $(channel)"; else echo "rustup $RUSTUP_VERSION from static.rust-lang.org, into ${CARGO_HOME:-$HOME/.cargo}"; fi ;;
    node) echo "Node.js $NODE_VERSION from $(npm_registry), into $OWN_NODE" ;;
    *) echo "$(packager) install $(packages "$1")" ;;
  esac
}

tell_missing() {
  local need
  for need in $1; do printf '  %s\n      %s\n' "$(reason "$need")" "$(how "$need")" >&2; done
}

have_compiler() { have cc && have ld; }
have_pgbouncer() { have pgbouncer || [[ -x /usr/sbin/pgbouncer ]]; }
have_faketime() { compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null; }
have_chromium() { have "${CHROMIUM:-chromium}"; }
have_keyring() { have dbus-run-session && have gnome-keyring-daemon; }
have_venv() { python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }
have_rust() { [[ $(cargo --version 2>/dev/null) == "cargo $(channel) "* ]]; }
have_node() { have npm && [[ $(node --version 2>/dev/null) =~ ^v([0-9]+\.[0-9]+) ]] && at_least "$NODE_OLDEST" "${BASH_REMATCH[1]}"; }
have_postgres() { [[ -n $(postgres_bin) ]]; }

# at_least A B: whether version B is A or newer.
at_least() { printf '%s\n' "$1" "$2" | sort --version-sort --check=quiet; }

# channel: the toolchain that the sources ask for.
channel() { sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml; }

# postgres_bin: the directory with the newest server programs that will do; nothing when there are none.
postgres_bin() {
  local dir major best=0 found=
  for dir in "$(dirname "$(readlink -f "$(command -v postgres || echo /)")")" "$(pg_config --bindir 2>/dev/null || :)" \
    /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql*/bin; do
    [[ -x $dir/postgres && -x $dir/initdb && -x $dir/pg_ctl ]] || continue
    [[ $("$dir/postgres" --version) =~ \ ([0-9]+) ]] || continue
    major=${BASH_REMATCH[1]}
    if ((major >= POSTGRES_OLDEST && major > best)); then best=$major found=$dir; fi
  done
  printf '%s' "$found"
}

# packager: apt-get or dnf, by what the distribution calls itself.
packager() {
  local told
  told=$(. "${DEV_OS_RELEASE:-/etc/os-release}" 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}") || :
  case " $told " in
    *" debian "* | *" ubuntu "*) echo apt-get ;;
    *" almalinux "* | *" rhel "* | *" centos "* | *" fedora "*) echo dnf ;;
    *) die "which packages this distribution (${told:-unknown}) calls for is not known; install by hand: a PostgreSQL server, gcc, curl, Chromium for the tests" ;;
  esac
}

packages() {
  case $(packager):$1 in
    apt-get:postgres) echo postgresql ;;
    apt-get:compiler) echo gcc libc6-dev ;;
    apt-get:curl) echo curl ca-certificates ;;
    apt-get:chromium) echo chromium fonts-dejavu-core ;;
    apt-get:keyring) echo dbus-daemon gnome-keyring ;;
    apt-get:faketime) echo libfaketime ;;
    apt-get:pgbouncer) echo pgbouncer ;;
    apt-get:shellcheck) echo shellcheck ;;
    apt-get:venv) echo python3-venv ;;
    dnf:postgres) echo postgresql-server ;;
    dnf:compiler) echo gcc glibc-devel ;;
    dnf:curl) echo curl ca-certificates tar gzip ;;
    dnf:venv) echo python3 python3-pip ;;
    dnf:shellcheck) echo epel-release ShellCheck ;;
    dnf:keyring) echo dbus-daemon gnome-keyring ;;
    dnf:chromium) echo epel-release chromium dejavu-sans-fonts ;;
  esac
}

# install_packages LOG NEEDS: those of them that the distribution has.
install_packages() {
  local log=$1 need tool
  local -a wanted=()
  tool=$(packager)
  for need in $2; do
    # shellcheck disable=SC2207 # names of packages have no spaces
    wanted+=($(packages "$need"))
  done
  ((${#wanted[@]})) || return 0
  if ((EUID != 0)); then
    have sudo || die "neither root nor sudo; ask somebody who may to run: $tool install ${wanted[*]}"
    # asks for the password here, where there is a terminal to ask on; what follows runs in the background
    say "Installing packages needs root:"
    sudo -v || die "sudo refused; ask somebody who may to run: $tool install ${wanted[*]}"
  fi
  step "$tool install ${wanted[*]}" "$log" "install_by_${tool%%-*}" "${wanted[@]}"
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

# The package would make and start a cluster of its own, which nothing here uses: for this installation it does not.
install_by_apt() {
  local without=/etc/postgresql-common/createcluster.d/exarch-dev.conf code=0
  as_root apt-get --quiet update
  as_root mkdir -p "${without%/*}"
  echo 'create_main_cluster = false' | as_root tee "$without" >/dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes install --no-install-recommends "$@" || code=$?
  as_root rm -f "$without"
  # Nor is the pooler's service wanted: tests start poolers of their own.
  if [[ " $* " == *" pgbouncer "* ]] && have systemctl; then as_root systemctl disable --quiet --now pgbouncer || :; fi
  return "$code"
}

# One after the other: what brings a repository comes before what is in it.
install_by_dnf() {
  local package
  for package in "$@"; do as_root dnf install --assumeyes "$package"; done
}

install_rust() {
  local machine sum
  if ! have rustup; then
    machine=$(machine)
    sum=RUSTUP_SHA256_$machine
    step "rustup $RUSTUP_VERSION" "$1" install_rustup "$machine" "${!sum}"
    find_tools
  fi
  step "Rust $(channel)" "$1" rustup toolchain install "$(channel)" --profile minimal --component clippy --component rustfmt
}

install_rustup() {
  local folder
  folder=$(mktemp -d)
  fetch "https://static.rust-lang.org/rustup/archive/$RUSTUP_VERSION/$1-unknown-linux-gnu/rustup-init" \
    "$folder/rustup-init" sha256sum "$2"
  chmod +x "$folder/rustup-init"
  "$folder/rustup-init" -y --no-modify-path --profile minimal --default-toolchain none
  rm -r "$folder"
}

npm_registry() { printf '%s' "${npm_config_registry:-https://registry.npmjs.org}"; }

install_node() {
  local machine sum
  machine=$(machine)
  sum=NODE_SHA512_$machine
  step "Node.js $NODE_VERSION" "$1" unpack_node "$machine" "${!sum}"
}

unpack_node() {
  local arch=x64 folder registry
  [[ $1 == x86_64 ]] || arch=arm64
  registry=$(npm_registry)
  rm -rf "$OWN_NODE" "$OWN_NODE".making.*
  mkdir -p "${OWN_NODE%/*}"
  folder=$(mktemp -d "$OWN_NODE.making.XXXXXX")
  mkdir -p "$folder/lib/node_modules/npm"
  fetch "${registry%/}/node-linux-$arch/-/node-linux-$arch-$NODE_VERSION.tgz" "$folder/node.tgz" sha512sum "$2"
  fetch "${registry%/}/npm/-/npm-$NPM_VERSION.tgz" "$folder/npm.tgz" sha512sum "$NPM_SHA512"
  tar -xzf "$folder/node.tgz" -C "$folder" --strip-components=1 package/bin package/LICENSE
  tar -xzf "$folder/npm.tgz" -C "$folder/lib/node_modules/npm" --strip-components=1
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$folder/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$folder/bin/npx"
  chmod 0755 "$folder" "$folder"/bin/node "$folder"/lib/node_modules/npm/bin/*-cli.js
  rm "$folder"/*.tgz
  mv "$folder" "$OWN_NODE"
}

# fetch URL FILE SUM HASH: refuses what is not what it should be.
fetch() {
  curl --proto '=https' --tlsv1.2 --silent --show-error --fail --location --retry 3 --output "$2" "$1" ||
    die "cannot fetch $1"
  "$3" --check --status <<<"$4  $2" || die "$1 is not the file that was expected: its hash is another"
}

machine() {
  local machine
  machine=$(uname -m)
  case $machine in
    x86_64 | aarch64) echo "$machine" ;;
    *) die "there is no pinned Rust or Node.js for $machine; install both by hand" ;;
  esac
}
