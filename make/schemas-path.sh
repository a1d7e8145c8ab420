#!/bin/sh
# Prints the folder of two Python environments, and nothing else on stdout: check-jsonschema, which brings the schema of compose
# files, and grafana, with Grafana's own types of dashboards.
. "${0%/*}/lib.sh"

folder=.tools/schemas

if [ -n "${OPMETER_SCHEMAS:-}" ]; then
    printf '%s\n' "$OPMETER_SCHEMAS"
    exit
fi
own="give a folder that has them with OPMETER_SCHEMAS=/path"
install_from_pypi check-jsonschema 0.39.0 "$folder/check-jsonschema" "$own"
install_from_pypi grafana-foundation-sdk '1769699998!10.1.0' "$folder/grafana" "$own"
printf '%s/%s\n' "$PWD" "$folder"
