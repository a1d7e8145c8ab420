#!/bin/sh
# Licences, bans and sources of all dependencies.
. "${0%/*}/lib.sh"

need_cargo
have cargo-deny || fail "cargo-deny is not installed: cargo install cargo-deny"
cargo deny --workspace check licenses bans sources
