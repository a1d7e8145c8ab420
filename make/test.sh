#!/bin/sh
# All tests of the workspace on this machine, with the built module and a real Envoy.
. "${0%/*}/lib.sh"

need_cargo
OPMETER_MODULE=$PWD/dist/opmeter.wasm
OPMETER_ENVOY=$("${0%/*}/envoy-path.sh")
# A test that finds no Envoy or no module fails instead of being skipped.
OPMETER_REQUIRE_ENVOY=1
OPMETER_PYTHON=$("${0%/*}/python-path.sh")
OPMETER_COLLECTOR=$("${0%/*}/collector-path.sh")
OPMETER_STATSD=$("${0%/*}/statsd-path.sh")
OPMETER_PROMETHEUS=$("${0%/*}/prometheus-path.sh")
OPMETER_AMTOOL=$("${0%/*}/amtool-path.sh")
OPMETER_SCHEMAS=$("${0%/*}/schemas-path.sh")
OPMETER_CHROMIUM=$("${0%/*}/chromium-path.sh")
OPMETER_REGISTRY=$("${0%/*}/registry-path.sh")
OPMETER_SKOPEO=$("${0%/*}/skopeo-path.sh")
OPMETER_LANGUAGE_SERVER=$("${0%/*}/language-server-path.sh")
export OPMETER_MODULE OPMETER_ENVOY OPMETER_REQUIRE_ENVOY OPMETER_PYTHON OPMETER_COLLECTOR
export OPMETER_STATSD OPMETER_PROMETHEUS OPMETER_AMTOOL OPMETER_SCHEMAS OPMETER_CHROMIUM
export OPMETER_REGISTRY OPMETER_SKOPEO OPMETER_LANGUAGE_SERVER
say "test: workspace, with Envoy $OPMETER_ENVOY"
cargo test --workspace --exclude opmeter-filter
