# Shared by the scripts beside it: POSIX sh, to be sourced from the repository root.
set -eu

say() { printf '%s\n' "$*" >&2; }

fail() {
    printf 'opmeter: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

need_cargo() {
    have cargo || fail "Rust is missing: cargo was not found; install it with rustup, see https://rustup.rs"
}

# The wasm target comes from rustup; a toolchain from elsewhere will do if it has the target.
need_wasm_target() {
    need_cargo
    target=wasm32-unknown-unknown
    libraries=$(rustc --print target-libdir --target "$target" 2>/dev/null || true)
    if [ -n "$libraries" ] && [ -d "$libraries" ]; then
        return
    fi
    have rustup || fail "Rust's $target target is missing and rustup was not found to add it, see https://rustup.rs"
    say "adding Rust's $target target"
    rustup target add "$target" >&2 || fail "rustup could not add the $target target; is the network there?"
}

# Rust's own sources, from which its standard library can be built for size.
have_rust_source() {
    sources=$(rustc --print sysroot)/lib/rustlib/src/rust/library/std
    if [ ! -d "$sources" ] && have rustup; then
        say "adding Rust's own sources"
        rustup component add rust-src >&2 || true
    fi
    [ -d "$sources" ]
}

# Its argument is what would do instead.
need_python() {
    have python3 || fail "Python 3 is missing: python3 was not found; install it, or $1"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "Python's venv module is missing (Debian: apt install python3-venv); or $1"
}

need_node() {
    have node || fail "Node is missing: node was not found, see https://nodejs.org"
}

# install_from_pypi PACKAGE VERSION FOLDER INSTEAD [MORE]: into a virtual environment, once. INSTEAD says what else would do,
# MORE is another package with its version.
install_from_pypi() {
    if [ -e "$3/.complete" ]; then
        return
    fi
    need_python "$4"
    say "installing $1 $2 from PyPI into $3"
    mkdir -p "$3"
    if ! python3 -m venv "$3" >"$3/install.log" 2>&1; then
        fail "python3 could not make a virtual environment; $3/install.log says why"
    fi
    if ! "$3/bin/pip" install --disable-pip-version-check "$1==$2" ${5:+"$5"} >>"$3/install.log" 2>&1; then
        fail "$1 $2 could not be installed from PyPI ($3/install.log says why); is the network there?${4:+ Or $4}"
    fi
    : >"$3/.complete"
}

# install_from_npm PACKAGE VERSION FOLDER [INSTEAD]: without running what the package would run, once. INSTEAD says what else would do.
install_from_npm() {
    if [ -e "$3/.complete" ]; then
        return
    fi
    need_node
    have npm || fail "npm is missing, which comes with Node, see https://nodejs.org${4:+; or $4}"
    say "installing $1 $2 from npm into $3"
    mkdir -p "$3"
    if ! npm install --prefix "$3" --no-save --no-audit --no-fund --ignore-scripts "$1@$2" >"$3/install.log" 2>&1; then
        fail "$1 $2 could not be installed from npm ($3/install.log says why); is the network there?${4:+ Or $4}"
    fi
    : >"$3/.complete"
}

# download_from_debian PACKAGE FOLDER INSTEAD: unpacks a package, once, without installing it.
download_from_debian() {
    if [ -e "$2/.complete" ]; then
        return
    fi
    have apt-get && have dpkg-deb ||
        fail "$1 comes from Debian's package $1, and there is no apt-get here; $3"
    say "getting Debian's package $1 into $2"
    rm -rf "$2"
    mkdir -p "$2"
    log=$PWD/$2/install.log
    if ! fetch_from_debian "$1" "$2" >"$log" 2>&1; then
        fail "Debian's package $1 could not be had ($log says why); is the network there, and has apt-get update run? Or $3"
    fi
    : >"$2/.complete"
}

fetch_from_debian() {
    (
        cd "$2" || exit
        if ! apt-get download "$1"; then
            # A fresh machine has no package lists; only root may fetch them.
            [ "$(id -u)" = 0 ] && apt-get update && apt-get download "$1" || exit
        fi
        dpkg-deb -x ./*.deb . && rm -f ./*.deb
    )
}
