#!/bin/sh
# Measures what the module costs a real Envoy.
. "${0%/*}/lib.sh"

need_cargo
OPMETER_MODULE=$PWD/dist/opmeter.wasm
OPMETER_ENVOY=$("${0%/*}/envoy-path.sh")
OPMETER_REQUIRE_ENVOY=1
export OPMETER_MODULE OPMETER_ENVOY OPMETER_REQUIRE_ENVOY
cargo bench -p opmeter-tests --bench price
