#!/bin/sh
# Prints the path of the YAML language server that editors use, to be run by Node, and nothing else on stdout.
. "${0%/*}/lib.sh"

# The last one for Node 20.
version=1.23.0
folder=.tools/yaml-language-server-$version
script=$folder/node_modules/yaml-language-server/bin/yaml-language-server

if [ -n "${OPMETER_LANGUAGE_SERVER:-}" ]; then
    printf '%s\n' "$OPMETER_LANGUAGE_SERVER"
    exit
fi
install_from_npm yaml-language-server "$version" "$folder"
printf '%s/%s\n' "$PWD" "$script"
