#!/bin/sh
# The tests on a real Istio, in namespaces of their own. Arguments go to the tests: make test-istio ARGS=--list
. "${0%/*}/lib.sh"

need_cargo
[ "$(id -u)" = 0 ] || fail "test-istio makes network namespaces and needs root: run it as root"
for program in setpriv unshare nsenter ip; do
    have "$program" || fail "$program is missing (Debian: apt install util-linux iproute2)"
done
OPMETER_ISTIO=$("${0%/*}/istio-parts.sh")
OPMETER_MODULE=$PWD/dist/opmeter.wasm
OPMETER_ENVOY=$("${0%/*}/envoy-path.sh")
OPMETER_REGISTRY=$("${0%/*}/registry-path.sh")
OPMETER_SKOPEO=$("${0%/*}/skopeo-path.sh")
OPMETER_IMAGE=$PWD/target/istio/image
export OPMETER_ISTIO OPMETER_MODULE OPMETER_ENVOY OPMETER_REGISTRY OPMETER_SKOPEO OPMETER_IMAGE

say "test-istio: with Envoy $OPMETER_ENVOY and $OPMETER_ISTIO"
cargo run -q -p opmeter -- package dist/opmeter.wasm --output "$OPMETER_IMAGE" >&2
# A module with another digest that does the same: a custom section named "next" at its end.
{ cat dist/opmeter.wasm && printf '\000\005\004next'; } >target/istio/next.wasm
cargo run -q -p opmeter -- package target/istio/next.wasm --output "$OPMETER_IMAGE" --tag 0.1.1 >&2
# Run without cargo in between: it would not pass on a signal.
tests=$(cargo test -q -p opmeter-tests --test istio --no-run --message-format json |
    sed -n 's/.*"kind":\["test"\].*"name":"istio".*"executable":"\([^"]*\)".*/\1/p')
[ -x "$tests" ] || fail "the tests do not build: cargo test -p opmeter-tests --test istio --no-run"
eval "set -- ${ARGS:-}"
exec "$tests" "$@"
