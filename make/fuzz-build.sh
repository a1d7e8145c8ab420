#!/bin/sh
# Builds every fuzz target, linked with libFuzzer but not instrumented: that they still fit the code is what counts here.
. "${0%/*}/lib.sh"

need_cargo
have c++ || fail "libFuzzer needs a C++ compiler: c++ was not found (Debian: apt install g++)"
say "fuzz: building all targets"
cargo fmt --manifest-path fuzz/Cargo.toml --check
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target} cargo build --manifest-path fuzz/Cargo.toml
