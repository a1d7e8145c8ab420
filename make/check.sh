#!/bin/sh
# Formatting, lints on both targets, documentation; every warning is an error.
. "${0%/*}/lib.sh"

need_wasm_target
wasm=wasm32-unknown-unknown

say "check: formatting"
cargo fmt --all --check
say "check: lints"
cargo clippy --workspace --exclude opmeter-filter --all-targets -- -D warnings
cargo clippy -p opmeter-core -p opmeter-filter --target "$wasm" -- -D warnings
say "check: documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --exclude opmeter-filter --no-deps
RUSTDOCFLAGS="-D warnings" cargo doc -p opmeter-filter --target "$wasm" --no-deps
