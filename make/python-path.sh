#!/bin/sh
# Prints the path of a Python with Prometheus' own client and a client for HTTP/3, and nothing else on stdout: $OPMETER_PYTHON,
# or one below .tools.
. "${0%/*}/lib.sh"

prometheus_client=0.25.0
aioquic=1.7.2
folder=.tools/python-$prometheus_client-$aioquic

if [ -n "${OPMETER_PYTHON:-}" ]; then
    printf '%s\n' "$OPMETER_PYTHON"
    exit
fi
install_from_pypi prometheus-client "$prometheus_client" "$folder" \
    "give a Python that has it and aioquic with OPMETER_PYTHON=/path/to/python" "aioquic==$aioquic"
printf '%s/%s\n' "$PWD" "$folder/bin/python"
