# shellcheck shell=bash
# What is made from the sources and committed: API documents, types of the web app, descriptions of SQL queries.

readonly GLOBAL_API=global/controller/openapi.json REGIONAL_API=regional/gateway/openapi.json

openapi_write() {
  local bin
  bin=$(bin_dir dev)
  document "$bin/exarch-global" "$GLOBAL_API"
  document "$bin/exarch-gateway" "$REGIONAL_API"
  npm --prefix global/dashboard run --silent api
}

# document PROGRAM FILE: written whole or not at all.
document() {
  local said
  said=$("$1" --openapi) || die "$1 --openapi failed"
  printf '%s\n' "$said" >"$2"
  say "$2 written"
}

# openapi_check: what is committed is what the servers say of themselves.
openapi_check() {
  local bin stale=0
  bin=$(bin_dir dev)
  build_servers dev
  npm_packages global/dashboard
  same_document "$bin/exarch-global" "$GLOBAL_API" || stale=1
  same_document "$bin/exarch-gateway" "$REGIONAL_API" || stale=1
  npm --prefix global/dashboard run api:check || stale=1
  return "$stale"
}

same_document() {
  local said
  said=$("$1" --openapi) || return
  if [[ ! -f $2 ]]; then
    echo "$2 is missing: run ./dev openapi and commit the result"
    return 1
  fi
  if ! diff -u "$2" <(printf '%s\n' "$said"); then
    echo "$2 is not what ${1##*/} says: run ./dev openapi and commit the result"
    return 1
  fi
}

sqlx_write() {
  sqlx_describe
  rm -rf .sqlx
  mv "$SCRATCH/sqlx" .sqlx
  chmod 0755 .sqlx
}

sqlx_check() {
  sqlx_describe
  if ! diff -r .sqlx "$SCRATCH/sqlx"; then
    echo ".sqlx is not what the queries and migrations give: run ./dev sqlx and commit the result"
    return 1
  fi
}

# sqlx_describe: every query of the sources described in $SCRATCH/sqlx, by a database that lives as long as this shell.
sqlx_describe() {
  local address
  SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/exarch-sqlx.XXXXXX")
  trap sqlx_end EXIT
  chmod 0711 "$SCRATCH"
  mkdir "$SCRATCH/sqlx" "$SCRATCH/times"
  sqlx_cluster
  address="postgres://postgres@localhost/exarch?host=${SCRATCH//\//%2F}%2Fpg"
  migrations_into exarch
  sqlx_touch
  SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$SCRATCH/sqlx DATABASE_URL=$address cargo check --workspace --all-targets
  [[ -n $(ls "$SCRATCH/sqlx") ]]
}

# sqlx_cluster: without a port; its socket lies in a directory of its own. Postgres refuses to run as root.
sqlx_cluster() {
  local account programs
  programs=$(postgres_bin)
  AS_SERVER=()
  if ((EUID == 0)); then
    account=nobody
    if id postgres >/dev/null 2>&1; then account=postgres; fi
    AS_SERVER=(setpriv --reuid "$account" --regid "$(id -g "$account")" --clear-groups)
  fi
  mkdir -m 0700 "$SCRATCH/pg"
  ((EUID != 0)) || chown "$account" "$SCRATCH/pg"
  PG_CTL=$programs/pg_ctl
  (
    cd /
    "${AS_SERVER[@]}" "$programs/initdb" -D "$SCRATCH/pg/data" -U postgres --auth=trust -E UTF8 --no-locale --no-sync --no-instructions
    "${AS_SERVER[@]}" "$PG_CTL" -D "$SCRATCH/pg/data" -l "$SCRATCH/pg/log" -w start \
      -o "-c listen_addresses='' -c unix_socket_directories='$SCRATCH/pg' -c fsync=off"
  )
}

# migrations_into DATABASE: both sides in one database, since each has a schema of its own.
migrations_into() {
  local file
  sql postgres -c "CREATE DATABASE \"$1\""
  sql "$1" -f common/pg/src/roles.sql
  for file in migrations/global/*.sql migrations/regional/*.sql; do
    { echo 'SET ROLE exarch_owner;' && cat "$file"; } | sql "$1" -f -
  done
}

sql() { psql -qX -v ON_ERROR_STOP=1 -h "$SCRATCH/pg" -U postgres -d "$@"; }

# sqlx_touch: the macros ask the database when their file is compiled, so it must be compiled. The times are put back
# afterwards: what was built before stays built.
sqlx_touch() {
  local file
  grep -rlE 'query(_as|_scalar|_file|_file_as|_file_scalar)?(_unchecked)?!' --include='*.rs' common global regional tests >"$SCRATCH/touched"
  while IFS= read -r file; do
    mkdir -p "$SCRATCH/times/${file%/*}"
    touch -r "$file" "$SCRATCH/times/$file"
    touch "$file"
  done <"$SCRATCH/touched"
}

sqlx_end() {
  local file
  if [[ -f $SCRATCH/touched ]]; then
    while IFS= read -r file; do
      [[ ! -e $SCRATCH/times/$file ]] || touch -r "$SCRATCH/times/$file" "$file"
    done <"$SCRATCH/touched"
  fi
  if [[ -f $SCRATCH/pg/data/postmaster.pid ]]; then
    (cd / && "${AS_SERVER[@]}" "$PG_CTL" -D "$SCRATCH/pg/data" -m immediate -w stop)
  fi
  rm -rf "$SCRATCH"
}
