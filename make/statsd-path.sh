#!/bin/sh
# Prints the path of statsd, Etsy's own server, to be run by Node, and nothing else on stdout.
. "${0%/*}/lib.sh"

version=0.9.0
folder=.tools/statsd-$version

if [ -n "${OPMETER_STATSD:-}" ]; then
    printf '%s\n' "$OPMETER_STATSD"
    exit
fi
install_from_npm statsd "$version" "$folder" "give its stats.js with OPMETER_STATSD=/path/to/stats.js"
printf '%s/%s\n' "$PWD" "$folder/node_modules/statsd/stats.js"
