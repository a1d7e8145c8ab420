#!/bin/sh
# Prints the path of the Prometheus in use, and nothing else on stdout: $PROMETHEUS if that is a path, the one that is
# installed, or Debian's package unpacked below .tools. promtool lies beside it.
. "${0%/*}/lib.sh"

own="give your own with PROMETHEUS=/path/to/prometheus (promtool beside it)"
folder=.tools/prometheus

case ${PROMETHEUS:-1} in
    1) ;;
    *)
        if [ ! -f "$PROMETHEUS" ] || [ ! -x "$PROMETHEUS" ]; then
            fail "PROMETHEUS=$PROMETHEUS is not a program that can be run; PROMETHEUS=1 gets Debian's"
        fi
        printf '%s\n' "$PROMETHEUS"
        exit
        ;;
esac
if have prometheus && have promtool; then
    command -v prometheus
    exit
fi
# Unpacked and not installed: it takes no root and starts no service.
download_from_debian prometheus "$folder" "$own"
printf '%s/%s\n' "$PWD" "$folder/usr/bin/prometheus"
