#!/bin/sh
# Prints the path of an OpenTelemetry collector, and nothing else on stdout: $OPMETER_COLLECTOR, or Rotel from PyPI below .tools.
. "${0%/*}/lib.sh"

version=0.0.1a15
folder=.tools/rotel-$version
instead="give a Rotel of your own with OPMETER_COLLECTOR=/path/to/rotel"

if [ -n "${OPMETER_COLLECTOR:-}" ]; then
    if [ ! -f "$OPMETER_COLLECTOR" ] || [ ! -x "$OPMETER_COLLECTOR" ]; then
        fail "OPMETER_COLLECTOR=$OPMETER_COLLECTOR is not a program that can be run"
    fi
    printf '%s\n' "$OPMETER_COLLECTOR"
    exit
fi

install_from_pypi rotel "$version" "$folder" "$instead"
for file in "$folder"/lib/python3*/site-packages/rotel/rotel-agent; do
    if [ -x "$file" ]; then
        printf '%s/%s\n' "$PWD" "$file"
        exit
    fi
done
fail "the package rotel $version holds no collector for this system; $instead"
