#!/bin/sh
# Prints the path of the Chromium in use, and nothing else on stdout: $CHROMIUM, one that is installed, or Debian's package, which
# only root can install (64 MB and its libraries, some 20 seconds).
. "${0%/*}/lib.sh"

if [ -n "${CHROMIUM:-}" ]; then
    if [ ! -f "$CHROMIUM" ] || [ ! -x "$CHROMIUM" ]; then
        fail "CHROMIUM=$CHROMIUM is not a program that can be run"
    fi
    printf '%s\n' "$CHROMIUM"
    exit
fi

installed() {
    for name in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
        if have "$name"; then
            command -v "$name"
            return
        fi
    done
    mac="/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    [ -x "$mac" ] && printf '%s\n' "$mac"
}

if installed; then
    exit
fi
own="install Chromium or Chrome, or give its path with CHROMIUM=/path/to/chromium"
have apt-get || fail "Chromium is missing; $own"
[ "$(id -u)" = 0 ] || fail "Chromium is missing and only root may install it (apt-get install chromium); $own"

install_chromium() {
    apt-get install -y --no-install-recommends "$1"
}
log=$PWD/.tools/chromium-install.log
mkdir -p .tools
say "installing Debian's Chromium"
export DEBIAN_FRONTEND=noninteractive
{ install_chromium chromium-headless-shell || { apt-get update && install_chromium chromium-headless-shell; } ||
    install_chromium chromium; } >"$log" 2>&1 ||
    fail "Debian's Chromium could not be installed ($log says why); is the network there? Or $own"
installed || fail "Debian's Chromium is installed and not found; $own"
