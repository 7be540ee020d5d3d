#!/bin/bash
# Installs what this checkout needs and the machine lacks: the Debian packages of debian-packages.txt, and the npm
# packages of package-lock.json, Node 24 among them. What debian-unpacked.txt names is unpacked into .cache/debian. Where nothing is missing it says nothing and takes no time, so
# that every make target that runs something can start with it.
#
# exit: 0 all is there; 1 something could not be installed, and standard error says what.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=.cache/setup.log

say() { echo "setup: $*"; }

fail() {
  echo "setup: $*" >&2
  exit 1
}

# The list without comments and blanks: on each line a name, or several of which one will do, as a|b.
wanted() { sed -e 's/#.*//' -e 's/ //g' -e '/^$/d' scripts/debian-packages.txt; }

# The lines of the list of which nothing is present.
missing() {
  local installed line name
  # shellcheck disable=SC2046 # split into names
  installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' $(wanted | tr '|' ' ') 2>/dev/null || true)
  while read -r line; do
    for name in ${line//|/ }; do
      if command -v "$name" >/dev/null || grep -qx "installed $name" <<<"$installed"; then
        continue 2
      fi
    done
    echo "$line"
  done < <(wanted)
}

# Of the names on a line, the first that a package source offers.
offered() {
  local name
  for name in ${1//|/ }; do
    if apt-cache policy "$name" | grep '^ *Candidate: [^(]' >/dev/null; then
      echo "$name"
      return
    fi
  done
  echo "No package source offers $1" >>"$log"
  return 1
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$log" 2>&1
}

# Installs one name of each line given.
install_one_of_each() {
  local line name names=()
  for line; do
    name=$(offered "$line") || return
    names+=("$name")
  done
  apt_get install --yes --no-install-recommends "${names[@]}"
}

install_debian_packages() {
  local lines
  mapfile -t lines < <(missing)
  [ ${#lines[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "this is no Debian machine; install by its own means: ${lines[*]}"
  [ "$(id -u)" -eq 0 ] || fail "only root can install the Debian packages that are missing: ${lines[*]}"
  say "installing Debian packages: ${lines[*]}"
  : >"$log"
  # A fresh machine has no lists of packages, and the lists of an old one name files that are gone by now.
  install_one_of_each "${lines[@]}" || { apt_get update && install_one_of_each "${lines[@]}"; } || {
    tail -n 20 "$log" >&2
    fail "cannot install the Debian packages ${lines[*]} (all of apt's output: $log)"
  }
}

# Downloads a package and unpacks it, without installing it. What a download left behind is not in the way of the next.
unpack() (
  log=$PWD/$log
  mkdir -p .cache/debian
  cd .cache/debian
  rm -f "$1"_*.deb
  apt_get download "$1" && dpkg-deb -x "$1"_*.deb . && mv "$1"_*.deb "$1.unpacked"
)

# Only some tests need these, so a machine that cannot have them is no failure.
unpack_debian_packages() {
  local name names=()
  [ -e scripts/debian-unpacked.txt ] && command -v apt-get >/dev/null || return 0
  while read -r name; do
    [ -e ".cache/debian/$name.unpacked" ] || names+=("$name")
  done < <(sed -e 's/#.*//' -e 's/ //g' -e '/^$/d' scripts/debian-unpacked.txt)
  [ ${#names[@]} -gt 0 ] || return 0
  say "unpacking Debian packages: ${names[*]}"
  : >"$log"
  for name in "${names[@]}"; do
    unpack "$name" || { apt_get update && unpack "$name"; } || say "cannot unpack $name; see $log"
  done
}

# npm writes node_modules/.package-lock.json last of all, so it is missing after an install that broke off, and older
# than package-lock.json once a pull or a merge has changed that. The programs are missing after `npm ci --omit=dev`.
install_npm_packages() {
  if [ -x node_modules/.bin/node ] && [ -x node_modules/.bin/vitest ] &&
    [ node_modules/.package-lock.json -nt package-lock.json ]; then
    return
  fi
  command -v npm >/dev/null || fail "npm is not installed"
  say "installing npm packages"
  # What has an install script brings its binary ready-made as well, so no script need run.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null >"$log" 2>&1 || {
    cat "$log" >&2
    fail "npm ci failed"
  }
}

mkdir -p .cache
install_debian_packages
unpack_debian_packages
install_npm_packages
