#!/bin/sh
# Prints the path of a Python with Prometheus' own client, and nothing else on stdout: $OPMETER_PYTHON, or one below .tools.
. "${0%/*}/lib.sh"

version=0.25.0
folder=.tools/prometheus-client-$version

if [ -n "${OPMETER_PYTHON:-}" ]; then
    printf '%s\n' "$OPMETER_PYTHON"
    exit
fi
install_from_pypi prometheus-client "$version" "$folder" "give a Python that has it with OPMETER_PYTHON=/path/to/python"
printf '%s/%s\n' "$PWD" "$folder/bin/python"
