#!/bin/sh
# Listeners of all directions that share one configuration in one Envoy: every case of the corpus in every way there is, and
# sidecars of a mesh. On each Envoy of $VERSIONS, one after the other; all are run, then it tells which failed.
. "${0%/*}/lib.sh"

need_cargo
versions=${VERSIONS:-1.36.4 1.40.0}
OPMETER_MODULE=$PWD/dist/opmeter.wasm
OPMETER_REQUIRE_ENVOY=1
OPMETER_SHARED=all
export OPMETER_MODULE OPMETER_REQUIRE_ENVOY OPMETER_SHARED

failed=
for version in $versions; do
    OPMETER_ENVOY=$(ENVOY='' ENVOY_VERSION=$version "${0%/*}/envoy-path.sh")
    export OPMETER_ENVOY
    say "test: all directions in one Envoy $version"
    cargo test -p opmeter-tests --test corpus -- "envoy-shared::${CASES:-}" || failed="$failed $version:corpus"
    cargo test -p opmeter-tests --test mesh -- directions:: || failed="$failed $version:mesh"
done
[ -z "$failed" ] || fail "failed:$failed"
say "passed on Envoy $versions"
