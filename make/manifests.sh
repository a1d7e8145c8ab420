#!/bin/sh
# Makes what is in istio-manifests/ again, each from its opmeter.yaml, whose first line is the command.
. "${0%/*}/lib.sh"

need_cargo
say "manifests: building the command"
cargo build --quiet -p opmeter
opmeter=${CARGO_TARGET_DIR:-$PWD/target}/debug/opmeter
for project in istio-manifests/*/opmeter.yaml; do
    folder=${project%/*}
    args=$(sed -n '1s/^# opmeter render //p' "$project")
    say "manifests: $folder"
    # shellcheck disable=SC2086 # several words on purpose
    "$opmeter" render $args --only plugin,telemetry "$project" > "$folder/manifests.yaml"
    rm -f "$folder/tags.yaml"
    if grep -q '^  deployment:\|^  side: both' "$project"; then
        # shellcheck disable=SC2086
        "$opmeter" render $args --only tags "$project" > "$folder/tags.yaml.new" 2> /dev/null \
            && mv "$folder/tags.yaml.new" "$folder/tags.yaml" || rm -f "$folder/tags.yaml.new"
    fi
done
