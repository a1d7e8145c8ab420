#!/bin/sh
# Prints the path of a container registry, and nothing else on stdout: $OPMETER_REGISTRY, the docker-registry that is installed,
# or Debian's package unpacked below .tools.
. "${0%/*}/lib.sh"

own="give your own with OPMETER_REGISTRY=/path/to/docker-registry"
folder=.tools/docker-registry

if [ -n "${OPMETER_REGISTRY:-}" ]; then
    if [ ! -f "$OPMETER_REGISTRY" ] || [ ! -x "$OPMETER_REGISTRY" ]; then
        fail "OPMETER_REGISTRY=$OPMETER_REGISTRY is not a program that can be run"
    fi
    printf '%s\n' "$OPMETER_REGISTRY"
    exit
fi
if have docker-registry; then
    command -v docker-registry
    exit
fi
download_from_debian docker-registry "$folder" "$own"
printf '%s/%s\n' "$PWD" "$folder/usr/bin/docker-registry"
