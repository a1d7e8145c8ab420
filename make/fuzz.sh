#!/bin/sh
# fuzz.sh SECONDS RUNS TARGETS: runs fuzz targets one after the other, each for SECONDS or, where given, for RUNS inputs;
# without TARGETS all of them. What a run learns is kept in fuzz/found/TARGET; the committed corpora stay as they are.
. "${0%/*}/lib.sh"

need_cargo
have c++ || fail "libFuzzer needs a C++ compiler: c++ was not found (Debian: apt install g++)"
version=0.13.1
PATH=$PWD/.tools/cargo-fuzz/bin:$PATH
if ! have cargo-fuzz; then
    say "fuzz: installing cargo-fuzz $version into .tools"
    cargo install -q cargo-fuzz --locked --version "$version" --root .tools/cargo-fuzz >&2 ||
        fail "cargo-fuzz could not be installed; is the network there?"
fi

# The core has no unsafe code for a sanitizer to watch, and dictionaries know the words for which comparisons would be
# traced: either makes a run several times slower. Overflow checks and assertions are on.
say "fuzz: building"
cargo fuzz build -s none -O -a --no-trace-compares --target-dir fuzz/target >&2
binaries=fuzz/target/$(rustc -vV | sed -n 's/^host: //p')/release

# Longest inputs: what is slow with long ones finds the same with short ones.
longest() {
    case $1 in
    filter | conditions) echo 40 ;;
    label) echo 48 ;;
    path | expression) echo 64 ;;
    baggage | peer_header) echo 160 ;;
    config) echo 240 ;;
    protobuf) echo 256 ;;
    *) echo 96 ;;
    esac
}

# run TARGET LIMIT: says every ten seconds how far it is.
run() {
    found=fuzz/found/$1
    mkdir -p "$found/corpus"
    # How often a branch is taken says little here and halves the speed.
    set -- "$1" "$2" "-max_len=$(longest "$1")" -use_counters=0 -timeout=20 -print_final_stats=1 "-artifact_prefix=$found/"
    [ ! -e "fuzz/dictionaries/$1.dict" ] || set -- "$@" "-dict=fuzz/dictionaries/$1.dict"
    target=$1
    shift
    nice -n 19 "$binaries/$target" "$@" "$found/corpus" "fuzz/corpus/$target" >"$found/log" 2>&1 &
    fuzzer=$!
    trap 'kill "$fuzzer" 2>/dev/null' EXIT INT TERM
    seconds=0
    while kill -0 "$fuzzer" 2>/dev/null; do
        sleep 1
        seconds=$((seconds + 1))
        [ $((seconds % 10)) -ne 0 ] || say "fuzz: $target: $(tail -n 1 "$found/log" | cut -c1-100)"
    done
    if ! wait "$fuzzer"; then
        tail -n 60 "$found/log" >&2
        fail "$target has found something: the input is in $found"
    fi
    trap - EXIT INT TERM
    say "fuzz: $target: $(grep -a '^Done' "$found/log")"
}

limit="-max_total_time=$1"
[ -z "$2" ] || limit="-runs=$2"
for each in ${3:-$(cargo fuzz list)}; do
    say "fuzz: $each, $limit"
    run "$each" "$limit"
done
