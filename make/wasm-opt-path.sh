#!/bin/sh
# Prints the path of Binaryen's wasm-opt, to be run by Node, and nothing else on stdout.
. "${0%/*}/lib.sh"

version=132.0.0
folder=.tools/binaryen-$version
script=$folder/node_modules/binaryen/bin/wasm-opt

if [ ! -e "$folder/.complete" ]; then
    need_node
    have npm || fail "npm is missing, which comes with Node, see https://nodejs.org"
    say "installing binaryen $version from npm into $folder"
    mkdir -p "$folder"
    npm install --prefix "$folder" --no-save --no-audit --no-fund --ignore-scripts "binaryen@$version" >"$folder/install.log" 2>&1 ||
        fail "binaryen $version could not be installed from npm ($folder/install.log says why); is the network there?"
    : >"$folder/.complete"
fi
printf '%s\n' "$script"
