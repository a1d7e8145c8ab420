#!/bin/sh
# Measures the memory that a full series budget takes of a real Envoy.
. "${0%/*}/lib.sh"

need_cargo
OPMETER_MODULE=$PWD/dist/opmeter.wasm
OPMETER_ENVOY=$("${0%/*}/envoy-path.sh")
OPMETER_REQUIRE_ENVOY=1
export OPMETER_MODULE OPMETER_ENVOY OPMETER_REQUIRE_ENVOY
# Only Envoy is measured: what the tests have built will do.
cargo bench -p opmeter-tests --profile dev --bench memory
