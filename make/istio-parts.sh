#!/bin/sh
# Gets the parts of a real Istio mesh, once, below .tools, and prints their folder and nothing else on stdout.
#
# Istio and Kubernetes publish no programs that can be had without a container registry or a download site, so theirs are
# built from Go modules, pinned below and checked against Go's checksum database. iptables comes from Debian.
# A part that is there is skipped. ISTIO_BUILD=FOLDER keeps what Go downloads and compiles in that folder (9 GB) for another
# time; without it, it lies beside the parts and is removed when all are built.
. "${0%/*}/lib.sh"

istio=v0.0.0-20260827124520-eed52ebb66ad # 1.31, a snapshot of the main branch: newer Istio has tags for its API only
kubernetes=1.37.2
etcd=v3.7.3

folder=$PWD/.tools/istio-${istio##*-}
programs=$folder/bin
files=$folder/files
build=${ISTIO_BUILD:-$folder/build}

missing() { [ ! -e "$1" ]; }

need_go() {
    have go || fail "Go is missing: Istio and Kubernetes are built from their modules; install Go 1.26 or newer, see https://go.dev"
    number=$(go env GOVERSION | sed 's/^go1\.\([0-9]*\).*/\1/')
    [ "$number" -ge 26 ] 2>/dev/null || fail "Go is too old: $(go env GOVERSION), and this Istio needs Go 1.26 or newer"
}

# in_module NAME: goes into the Go module NAME, which has nothing of its own and requires what is built.
in_module() {
    mkdir -p "$build/module/$1" "$programs" "$files"
    cd "$build/module/$1"
    [ -f go.mod ] || printf 'module opmeter.invalid/%s\n\ngo 1.26.0\n' "$1" >go.mod
}

# require PACKAGE@VERSION...: as tools, because `replace` lines of a tool's own module do not count.
require() {
    log=$PWD/get.log
    go get -tool "$@" >"$log" 2>&1 || fail "$1 could not be had from the Go module proxy ($log says why); is the network there?"
}

# compile PACKAGE [FLAG...]: into the folder of programs, whole or not at all.
compile() {
    package=$1
    shift
    log=$PWD/build.log
    go build "$@" -o "$build/compiled" "$package" >"$log" 2>&1 || fail "$package does not build; $log says why"
    mv "$build/compiled" "$programs/${package##*/}"
}

build_istio() (
    in_module istio
    require "istio.io/istio/pilot/cmd/pilot-discovery@$istio" "istio.io/istio/pilot/cmd/pilot-agent@$istio" \
        "istio.io/istio/istioctl/cmd/istioctl@$istio"
    module=$(go list -m -f '{{.Dir}}' istio.io/istio)
    for program in pilot/cmd/pilot-discovery pilot/cmd/pilot-agent istioctl/cmd/istioctl; do
        missing "$programs/${program##*/}" || continue
        say "building ${program##*/} (one to four minutes)"
        compile "istio.io/istio/$program"
    done
    for file in tools/packaging/common/envoy_bootstrap.json \
        tests/integration/pilot/testdata/gateway-api-crd.yaml; do
        cp -f "$module/$file" "$files/" && chmod u+w "$files/${file##*/}"
    done
)

# Kubernetes keeps its libraries in its own tree by `replace` lines; published, they have the same version with 0 before it.
build_kubernetes() (
    in_module kubernetes
    log=$PWD/download.log
    go mod download -json "k8s.io/kubernetes@v$kubernetes" >"$log" 2>&1 ||
        fail "k8s.io/kubernetes could not be had from the Go module proxy ($log says why); is the network there?"
    source=$(sed -n 's/^.*"GoMod": "\(.*\)",$/\1/p' "$log")
    {
        printf 'module opmeter.invalid/kubernetes\n\ngo 1.26.0\n\ngodebug default=go1.26\n\n'
        printf 'require k8s.io/kubernetes v%s\n\n' "$kubernetes"
        sed -n "s|^[[:space:]]*\(k8s.io/[a-z-]*\) => ./staging/.*|replace \1 => \1 v0.${kubernetes#1.}|p" "$source"
    } >go.mod
    require "k8s.io/kubernetes/cmd/kube-apiserver@v$kubernetes" "k8s.io/kubernetes/cmd/kubectl@v$kubernetes"
    # Without a version istiod takes the API server for one that is too old.
    minor=${kubernetes#1.}
    stamp=k8s.io/component-base/version
    for program in kube-apiserver kubectl; do
        missing "$programs/$program" || continue
        say "building $program (two to ten minutes)"
        compile "k8s.io/kubernetes/cmd/$program" \
            -ldflags "-X $stamp.gitVersion=v$kubernetes -X $stamp.gitMajor=1 -X $stamp.gitMinor=${minor%%.*}"
    done
)

build_etcd() (
    in_module etcd
    require "go.etcd.io/etcd/server/v3@$etcd"
    say "building etcd (one to three minutes)"
    compile go.etcd.io/etcd/server/v3
    mv "$programs/v3" "$programs/etcd"
)

# The rules of a pod's network are written by iptables, whose libraries a machine may not have.
unpack_iptables() {
    for package in iptables libip4tc2 libip6tc2 libmnl0 libnetfilter-conntrack3 libnfnetlink0 libnftnl11 libxtables12; do
        download_from_debian "$package" ".tools/istio-${istio##*-}/debian/$package" "it cannot be had elsewhere here"
    done
    rm -rf "$folder/iptables.part"
    mkdir -p "$folder/iptables.part/lib"
    cp -R "$folder"/debian/iptables/usr/sbin "$folder/iptables.part/"
    for libraries in "$folder"/debian/*/usr/lib/*-linux-gnu*; do
        cp -R "$libraries/." "$folder/iptables.part/lib/"
    done
    mv "$folder/iptables.part" "$folder/iptables"
    rm -rf "$folder/debian"
}

built() {
    for program in pilot-discovery pilot-agent istioctl kube-apiserver kubectl etcd; do
        [ -x "$programs/$program" ] || return 1
    done
    for file in envoy_bootstrap.json gateway-api-crd.yaml; do
        [ -f "$files/$file" ] || return 1
    done
}

[ "$(uname -s)" = Linux ] || fail "a mesh of network namespaces runs on Linux only, and this is $(uname -s)"
if missing "$folder/iptables/sbin/iptables-nft"; then
    unpack_iptables
fi
if ! built; then
    need_go
    GOPATH=$build/go
    GOCACHE=$build/cache
    GOFLAGS=-mod=mod
    GOTOOLCHAIN=local
    export GOPATH GOCACHE GOFLAGS GOTOOLCHAIN
    say "building what is missing of Istio, Kubernetes and etcd: 15 to 30 minutes on two cores, 10 GB while it lasts, 1 GB after"
    # The programs of one module share what is compiled, so each module is built to its end.
    if missing "$programs/pilot-discovery" || missing "$programs/pilot-agent" || missing "$programs/istioctl" ||
        missing "$files/envoy_bootstrap.json" || missing "$files/gateway-api-crd.yaml"; then
        build_istio
    fi
    if missing "$programs/kube-apiserver" || missing "$programs/kubectl"; then
        build_kubernetes
    fi
    if missing "$programs/etcd"; then
        build_etcd
    fi
    built || fail "parts of Istio are missing below $folder after all was built"
    if [ -z "${ISTIO_BUILD:-}" ]; then
        # What Go downloads is not writable.
        chmod -R u+w "$build" && rm -rf "$build"
    fi
fi
printf '%s\n' "$folder"
