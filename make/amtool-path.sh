#!/bin/sh
# Prints the path of Alertmanager's amtool, and nothing else on stdout: $OPMETER_AMTOOL, the one that is installed, or Debian's,
# unpacked below .tools.
. "${0%/*}/lib.sh"

folder=.tools/alertmanager

if [ -n "${OPMETER_AMTOOL:-}" ]; then
    printf '%s\n' "$OPMETER_AMTOOL"
    exit
fi
if have amtool; then
    command -v amtool
    exit
fi
download_from_debian prometheus-alertmanager "$folder" "give your own with OPMETER_AMTOOL=/path/to/amtool"
printf '%s/%s\n' "$PWD" "$folder/usr/bin/amtool"
