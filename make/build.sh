#!/bin/sh
# Builds dist/opmeter.wasm.
. "${0%/*}/lib.sh"

need_wasm_target
linked=${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/release-wasm/opmeter_filter.wasm
out=dist/opmeter.wasm

cargo build -p opmeter-filter --profile release-wasm --target wasm32-unknown-unknown
cargo build -p opmeter-pack --release
mkdir -p dist
cargo run -q -p opmeter-pack --release -- "$linked" "$out"
