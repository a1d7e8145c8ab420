#!/bin/sh
# Runs the sample mesh with a Prometheus and writes a page about it: $REPORT, target/demo-report.html.
. "${0%/*}/lib.sh"

# Half a minute of traffic over mutual TLS, unless told otherwise.
: "${REPORT:=target/demo-report.html}" "${ROUNDS:=100}" "${MTLS:=1}" "${PROMETHEUS:=1}" "${ONCE:=1}"
export REPORT ROUNDS MTLS PROMETHEUS ONCE
exec "${0%/*}/run.sh"
