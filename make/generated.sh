#!/bin/sh
# Writes the checked-in files that come from code.
. "${0%/*}/lib.sh"

need_cargo
exec cargo run -q -p opmeter -- files
