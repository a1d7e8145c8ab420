#!/bin/sh
# Prints the path of skopeo, and nothing else on stdout: $OPMETER_SKOPEO, the one that is installed, or Debian's package unpacked
# below .tools with the libraries it needs.
. "${0%/*}/lib.sh"

own="install skopeo, or give its path with OPMETER_SKOPEO=/path/to/skopeo"
folder=.tools/skopeo

if [ -n "${OPMETER_SKOPEO:-}" ]; then
    if [ ! -f "$OPMETER_SKOPEO" ] || [ ! -x "$OPMETER_SKOPEO" ]; then
        fail "OPMETER_SKOPEO=$OPMETER_SKOPEO is not a program that can be run"
    fi
    printf '%s\n' "$OPMETER_SKOPEO"
    exit
fi
if have skopeo; then
    command -v skopeo
    exit
fi
mkdir -p "$folder"
for package in skopeo libgpgme11 libassuan0 libdevmapper1.02.1; do
    download_from_debian "$package" "$folder/$package" "$own"
done
# Unpacked and not installed, so it has to be told where its libraries lie.
cat >"$folder/run" <<'END'
#!/bin/sh
folder=${0%/*}
for libraries in "$folder"/*/usr/lib/*-linux-* "$folder"/*/lib/*-linux-*; do
    LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries
done
export LD_LIBRARY_PATH
exec "$folder/skopeo/usr/bin/skopeo" "$@"
END
chmod +x "$folder/run"
printf '%s/%s\n' "$PWD" "$folder/run"
