#!/bin/sh
# Measures what the module costs a real Envoy. FULL=1 measures all there is and writes docs/bench; ARGS go to the program.
. "${0%/*}/lib.sh"

need_cargo
OPMETER_MODULE=$PWD/dist/opmeter.wasm
OPMETER_ENVOY=$("${0%/*}/envoy-path.sh")
export OPMETER_MODULE OPMETER_ENVOY
command="make bench${FULL:+ FULL=1}${ARGS:+ ARGS=\"$ARGS\"}"
eval "set -- ${ARGS:-}"
cargo run -q --release -p opmeter-bench -- ${FULL:+--full} --command "$command" "$@"
