#!/bin/sh
# Builds dist/opmeter.wasm: links it with a standard library made for size, packs it, and lets Binaryen shrink it. What the
# last kilobytes need may be missing (Rust's own sources, Node): then the module is larger and no different otherwise.
. "${0%/*}/lib.sh"

need_wasm_target
target=wasm32-unknown-unknown
# A folder of its own: other flags would have everything built again at each turn.
folder=${CARGO_TARGET_DIR:-target}/module
linked=$folder/$target/release-wasm/opmeter_filter.wasm
packed=$folder/packed.wasm
out=dist/opmeter.wasm

# Where the sources of the crates lie is no part of the module: the same comes of every machine.
cargo fetch --locked --target "$target"
flags=
for sources in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    flags="$flags --remap-path-prefix=$sources="
done

# link FLAGS ARGUMENTS...
link() (
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$flags $1"
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS
    shift
    cargo build -p opmeter-filter --profile release-wasm --target "$target" --target-dir "$folder" "$@"
)

# The standard library in rustup's toolchains is made for speed and can tell where it panicked; neither is of use here.
# Both flags are unstable, so the compiler has to be told to allow them.
link_small() (
    RUSTC_BOOTSTRAP=1
    export RUSTC_BOOTSTRAP
    link "-Zunstable-options -Cpanic=immediate-abort" -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size
)

if have_rust_source && link_small; then
    :
else
    say "opmeter: the standard library could not be built for size; the module will be about 40 KB larger"
    link ""
fi
cargo build -p opmeter-pack --release
cargo run -q -p opmeter-pack --release -- "$linked" "$packed"

mkdir -p dist
# Other processes may read the module at the same time: it appears complete or not at all.
new=$(mktemp "$out.XXXXXX")
trap 'rm -f "$new"' EXIT
if wasm_opt=$("${0%/*}/wasm-opt-path.sh"); then
    # The features are those that Rust's target has by default; every one of them is in Envoy's V8. The memory is the module's
    # own, zero when it starts, and the linker puts the stack in front: nothing lies below 1024.
    node "$wasm_opt" -Oz --converge --const-hoisting --reorder-locals --reorder-functions --reorder-globals \
        --low-memory-unused --zero-filled-memory \
        --enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext --enable-mutable-globals \
        --enable-multivalue --enable-reference-types "$packed" -o "$new"
else
    say "opmeter: Binaryen could not be had; the module will be about 25 KB larger"
    cp "$packed" "$new"
fi
chmod 644 "$new"
mv "$new" "$out"
digest=$(sha256sum "$out")
printf '%s  opmeter.wasm\n' "${digest%% *}" >"$out.sha256"
say "$out: $(wc -c <"$out") bytes, sha256 ${digest%% *}"
