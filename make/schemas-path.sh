#!/bin/sh
# Prints the folder of three Python environments, and nothing else on stdout: check-jsonschema, which brings the schema of compose
# files, grafana, with Grafana's own types of dashboards, and operator, with those of the Prometheus operator's resources.
. "${0%/*}/lib.sh"

folder=.tools/schemas

if [ -n "${OPMETER_SCHEMAS:-}" ]; then
    printf '%s\n' "$OPMETER_SCHEMAS"
    exit
fi
own="give a folder that has them with OPMETER_SCHEMAS=/path"
install_from_pypi check-jsonschema 0.39.0 "$folder/check-jsonschema" "$own"
install_from_pypi grafana-foundation-sdk '1769699998!10.1.0' "$folder/grafana" "$own"
install_from_pypi cloudcoil-models-prometheus-operator 0.80.1.0 "$folder/operator" "$own"
printf '%s/%s\n' "$PWD" "$folder"
