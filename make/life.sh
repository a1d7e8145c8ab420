#!/bin/sh
# life.sh TEST FILTER: one long test of the module's life in a real Envoy, with its progress; how long, environment variables say.
. "${0%/*}/lib.sh"

need_cargo
OPMETER_MODULE=$PWD/dist/opmeter.wasm
OPMETER_ENVOY=$("${0%/*}/envoy-path.sh")
OPMETER_REQUIRE_ENVOY=1
export OPMETER_MODULE OPMETER_ENVOY OPMETER_REQUIRE_ENVOY
exec cargo test -p opmeter-tests --test "$1" -- --nocapture --test-threads 1 "$2"
