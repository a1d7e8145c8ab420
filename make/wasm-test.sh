#!/bin/sh
# The core's tests on WebAssembly, under Node.
. "${0%/*}/lib.sh"

need_node
need_wasm_target
# Runner and library must be of the same version.
version=$(awk '$1 == "name" { name = $3 } $1 == "version" && name == "\"wasm-bindgen\"" { gsub(/"/, "", $3); print $3; exit }' Cargo.lock)
[ -n "$version" ] || fail "Cargo.lock has no wasm-bindgen, so there are no tests for WebAssembly"
folder=$PWD/.tools/wasm-bindgen-$version
runner=$folder/bin/wasm-bindgen-test-runner

install_cli() {
    cargo install wasm-bindgen-cli --version "$version" --root "$folder" "$@"
}

if [ ! -x "$runner" ]; then
    say "installing wasm-bindgen-cli $version into .tools (a few minutes, once)"
    # A registry mirror may lag behind the versions the tool's lock file names.
    install_cli --locked || install_cli ||
        fail "wasm-bindgen-cli $version could not be installed; is the network there?"
fi
say "test: core on wasm32-unknown-unknown under Node"
CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$runner
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER
cargo test -p opmeter-core --test wasm --target wasm32-unknown-unknown --test wasm
