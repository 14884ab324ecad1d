#!/usr/bin/env bash
# shellcheck disable=SC2154 # here and build
# How the peers of the dispatch benchmark are built; for the scripts beside it, which define here (this
# folder), build (where the programs go), and say.

c_flags=(-O2 -g -std=c11 -D_GNU_SOURCE -Wall -Wextra -pthread)
# shellcheck disable=SC2034 # for who sources this
cxx_flags=(-O2 -g -std=c++17 -Wall -Wextra -pthread)
programs=() # what has been built
failures=0

is_current() { # TARGET SOURCE…
  local target=$1 source
  shift
  for source in "$@" "$here"/*.h; do
    [[ $target -nt $source ]] || return 1
  done
}

compile() { # TARGET SOURCES COMMAND…: only when TARGET is older than one of SOURCES
  local target=$build/$1 sources=$2
  shift 2
  # shellcheck disable=SC2086 # a list of files
  is_current "$target" $sources && return
  # The old program must not be mistaken for this one when it cannot be built.
  rm -f "$target"
  "$@" -o "$target" >&2 || { say "cannot build $target; the compiler says why above"; return 1; }
}

peer() { # PROGRAM NAME PACKAGE MODULE COMPILER-LINE…
  local program=$1 name=$2 package=$3 module=$4
  shift 4
  if [[ -n $module ]] && ! pkg-config --exists "$module"; then
    say "without $name: no $module here (Debian package $package; --install fetches it)"
    return
  fi
  local flags=()
  [[ -z $module ]] || read -ra flags <<<"$(pkg-config --cflags --libs "$module")"
  if compile "$program" "$here/$program.${program_suffix:-c} $build/bench.o" "$@" \
    "$build/bench.o" "${flags[@]}"; then
    programs+=("$build/$program")
  else
    failures=$((failures + 1))
  fi
}

# What all peers share. Sets `cc`.
build_bench() {
  mkdir -p "$build" || { say "cannot create $build"; exit 1; }
  cc=${CC:-cc}
  command -v "$cc" >/dev/null || cc=gcc
  compile bench.o "$here/bench.c" "$cc" "${c_flags[@]}" -c "$here/bench.c" || exit 1
}

build_floor() {
  peer floor floor libevent-dev libevent_core "$cc" "${c_flags[@]}" "$here/floor.c"
}
