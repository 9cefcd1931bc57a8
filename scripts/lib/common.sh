# Shared by the scripts: where the project lies, the pinned Deno, messages. Sourced, not run.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${LIVENESSD_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/livenessd}
deno_version=2.9.6

# A failure inside $(…) ends the script too.
shopt -s inherit_errexit

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# need_packages PACKAGE=COMMAND_OR_FILE...: installs the Debian packages whose command or file is missing.
need_packages() {
  local entry missing=()
  for entry in "$@"; do
    case ${entry#*=} in
      /*) compgen -G "${entry#*=}" >/dev/null || missing+=("${entry%%=*}") ;;
      *) PATH=$PATH:/usr/sbin:/sbin command -v "${entry#*=}" >/dev/null || missing+=("${entry%%=*}") ;;
    esac
  done
  [ ${#missing[@]} -eq 0 ] && return
  [ "$(id -u)" -eq 0 ] || die "not root: cannot install ${missing[*]}; run: sudo apt-get install ${missing[*]}"
  command -v apt-get >/dev/null || die "this is no Debian (apt-get is missing); install by hand: ${missing[*]}"
  say "installing from Debian: ${missing[*]}"
  local log; log=$(mktemp)
  if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2; rm -f "$log"
    die "apt-get could not install ${missing[*]}; its last lines are above"
  fi
  rm -f "$log"
}

# npm_unpack PACKAGE@VERSION [SHA256]: unpacks the package once under $cache/npm and prints the folder.
npm_unpack() {
  local folder=$cache/npm/${1//\//+} work
  if [ ! -d "$folder" ]; then
    need_packages nodejs=node npm=npm
    mkdir -p "$cache/npm"
    work=$(mktemp -d "$cache/npm/.unpack.XXXXXX")
    (cd "$work" && npm pack --silent "$1" >/dev/null 2>npm.log) ||
      { tail -n 5 "$work/npm.log" >&2; rm -rf "$work"; die "npm could not fetch $1"; }
    if [ -n "${2:-}" ] && ! sha256sum --status -c <<<"$2  $(echo "$work"/*.tgz)"; then
      rm -rf "$work"
      die "$1 is not the file that was expected: its SHA-256 differs from $2"
    fi
    tar -xzf "$work"/*.tgz -C "$work"
    # Two runs at once may both get here; the first to rename wins and both are the same.
    mv -T "$work/package" "$folder" 2>/dev/null || [ -d "$folder" ]
    rm -rf "$work"
  fi
  printf '%s\n' "$folder"
}

# unpack_deno VERSION: prints the path of that Deno, fetched once.
unpack_deno() {
  local arch folder
  case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) die "Deno has no build for $(uname -m)" ;;
  esac
  folder=$(npm_unpack "@deno/linux-$arch-glibc@$1")
  chmod +x "$folder/deno"
  printf '%s\n' "$folder/deno"
}

# use_deno: puts the pinned Deno first in PATH, fetching it when the one that is there is another.
use_deno() {
  if [ "$(deno --version 2>/dev/null | awk 'NR == 1 { print $2 }')" != "$deno_version" ]; then
    local deno
    deno=$(unpack_deno "$deno_version")
    export PATH=${deno%/*}:$PATH
  fi
  export DENO_NO_UPDATE_CHECK=1
  # Certificates of the system count too, as they do for npm: a proxy may have one of its own.
  export DENO_TLS_CA_STORE=${DENO_TLS_CA_STORE:-mozilla,system}
}
