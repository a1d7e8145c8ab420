#!/bin/sh
# Prints the path of a Python with Prometheus' own client, and nothing else on stdout: $OPMETER_PYTHON, or one below .tools.
. "${0%/*}/lib.sh"

version=0.25.0
folder=.tools/prometheus-client-$version

if [ -n "${OPMETER_PYTHON:-}" ]; then
    printf '%s\n' "$OPMETER_PYTHON"
    exit
fi
if [ ! -e "$folder/.complete" ]; then
    need_python "give one that has prometheus-client with OPMETER_PYTHON=/path/to/python"
    say "installing prometheus-client $version from PyPI into $folder"
    mkdir -p "$folder"
    if ! python3 -m venv "$folder" >"$folder/install.log" 2>&1; then
        fail "python3 could not make a virtual environment; $folder/install.log says why"
    fi
    if ! "$folder/bin/pip" install --disable-pip-version-check "prometheus-client==$version" >>"$folder/install.log" 2>&1; then
        fail "prometheus-client $version could not be installed from PyPI ($folder/install.log says why); is the network there?"
    fi
    : >"$folder/.complete"
fi
printf '%s/%s\n' "$PWD" "$folder/bin/python"
