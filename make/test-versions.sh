#!/bin/sh
# The end-to-end tests on every supported Envoy ($VERSIONS), one after the other; all are run, then it tells which failed.
. "${0%/*}/lib.sh"

need_cargo
# PyPI's 1.38.3 was built without V8.
versions=${VERSIONS:-1.36.4 1.37.0 1.38.2 1.39.3 1.40.0}
OPMETER_MODULE=$PWD/dist/opmeter.wasm
OPMETER_REQUIRE_ENVOY=1
OPMETER_COLLECTOR=$("${0%/*}/collector-path.sh")
OPMETER_STATSD=$("${0%/*}/statsd-path.sh")
OPMETER_PYTHON=$("${0%/*}/python-path.sh")
export OPMETER_MODULE OPMETER_REQUIRE_ENVOY OPMETER_COLLECTOR OPMETER_STATSD OPMETER_PYTHON

failed=
for version in $versions; do
    OPMETER_ENVOY=$(ENVOY='' ENVOY_VERSION=$version "${0%/*}/envoy-path.sh")
    export OPMETER_ENVOY
    say "test: Envoy $version"
    cargo test -p opmeter-tests --test corpus -- envoy:: || failed="$failed $version:corpus"
    cargo test -p opmeter-tests --test three_way vocabulary || failed="$failed $version:three_way"
    for suite in mesh signals bootstraps; do
        cargo test -p opmeter-tests --test "$suite" || failed="$failed $version:$suite"
    done
done
[ -z "$failed" ] || fail "failed:$failed"
say "passed on Envoy $versions"
