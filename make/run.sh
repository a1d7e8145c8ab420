#!/bin/sh
# Starts the sample mesh, with PROMETHEUS a Prometheus too. Ports, ONCE, ROUNDS and MTLS reach the program through the environment.
. "${0%/*}/lib.sh"

need_cargo
cargo build -p opmeter
ENVOY=$("${0%/*}/envoy-path.sh")
export ENVOY
case ${PROMETHEUS:-} in
    "" | 0) unset PROMETHEUS ;;
    *)
        PROMETHEUS=$("${0%/*}/prometheus-path.sh")
        export PROMETHEUS
        ;;
esac
exec "${CARGO_TARGET_DIR:-target}/debug/opmeter" run
