#!/bin/sh
# Starts the sample mesh. Ports, ONCE, ROUNDS and MTLS reach the program through the environment.
. "${0%/*}/lib.sh"

need_cargo
cargo build -p opmeter
ENVOY=$("${0%/*}/envoy-path.sh")
export ENVOY
exec "${CARGO_TARGET_DIR:-target}/debug/opmeter" run
