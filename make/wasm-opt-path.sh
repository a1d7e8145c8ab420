#!/bin/sh
# Prints the path of Binaryen's wasm-opt, to be run by Node, and nothing else on stdout.
. "${0%/*}/lib.sh"

version=132.0.0
folder=.tools/binaryen-$version
script=$folder/node_modules/binaryen/bin/wasm-opt

install_from_npm binaryen "$version" "$folder"
printf '%s\n' "$script"
