#!/bin/sh
# Builds the module twice more, from copies of the tracked files in two other folders, and compares all three by digest.
. "${0%/*}/lib.sh"

have git || fail "git is missing: it tells which files belong to the project"
digest() { sed 's/ .*//' "$1/dist/opmeter.wasm.sha256"; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
expected=$(digest .)
say "reproduce: here $expected"
for folder in "$work/one" "$work/elsewhere/with a longer name/two"; do
    mkdir -p "$folder"
    git ls-files -z | xargs -0 tar -cf - | tar -xf - -C "$folder"
    # Only the tool that shrinks is taken over, which is fetched by its version.
    mkdir -p "$folder/.tools"
    cp -R .tools/binaryen-* "$folder/.tools/" 2>/dev/null || true
    (cd "$folder" && unset CARGO_TARGET_DIR && make/build.sh)
    found=$(digest "$folder")
    say "reproduce: in ${folder#"$work/"} $found"
    [ "$found" = "$expected" ] || fail "the module differs by where it is built"
    # Two full builds beside each other would take some hundred megabytes.
    rm -rf "$folder"
done
say "reproduce: the same module, $expected"
