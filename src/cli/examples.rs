//! What is shown below the help of each command.

/// Below the list of commands.
pub const ALL: &str = "\
Exit status: 0 nothing found, 1 findings, 2 wrong usage or a file or address that cannot be read.
Colours are used on a terminal only; NO_COLOR=1 turns them off.";

/// `run`.
pub const RUN: &str = "\
Examples:
  opmeter run --envoy /usr/bin/envoy --once
  opmeter run --envoy /usr/bin/envoy --mtls --rounds 100
  opmeter run --envoy /usr/bin/envoy --shared --once";

/// `lint`.
pub const LINT: &str = "\
Examples:
  opmeter lint opmeter.json
  opmeter lint wasmplugin.yaml telemetry.yaml deployment.yaml
  kubectl get wasmplugins,envoyfilters,telemetries -A -o yaml | opmeter lint -
  opmeter lint --format json envoy/*.yaml | jq -r '.findings[].rule'
  opmeter lint --allow unbounded,native-also-on wasmplugin.yaml";

/// `completions`.
pub const COMPLETIONS: &str = "\
Examples:
  opmeter completions bash > ~/.local/share/bash-completion/completions/opmeter
  opmeter completions zsh > ~/.zfunc/_opmeter
  opmeter completions fish > ~/.config/fish/completions/opmeter.fish";

/// `man`.
pub const MAN: &str = "\
Examples:
  opmeter man /usr/local/share/man/man1
  opmeter man . && man ./opmeter-lint.1";

/// `openapi`.
pub const OPENAPI: &str = "\
Examples:
  opmeter openapi petstore.yaml
  opmeter openapi --print json petstore.yaml users.json > opmeter.json
  protoc -o shop.binpb shop.proto && opmeter openapi shop.binpb
  opmeter openapi --peers 20 --format json petstore.yaml | jq .cost.series

Exit status 1 tells that two descriptions stand for the same requests under different names.";

/// `budget`.
pub const BUDGET: &str = "\
Examples:
  opmeter budget opmeter.json --peers 20 --proxies 500
  opmeter budget envoy/server-sidecar.yaml --codes 5
  opmeter budget wasmplugin.yaml --values tenant=40 --format json

The numbers are upper bounds: every peer calls every operation and gets every code. Bytes of Envoy were measured on
Envoy 1.40 with one worker; each further worker that sees a histogram adds to it.";

/// `schema`.
pub const SCHEMA: &str = "\
Examples:
  opmeter schema > opmeter.schema.json
  opmeter schema project > opmeter-yaml.schema.json
  opmeter schema --markdown > reference.md

An editor completes and checks with it: in YAML, a first line
  # yaml-language-server: $schema=./opmeter-yaml.schema.json
and in VS Code's settings for JSON
  \"json.schemas\": [{\"fileMatch\": [\"opmeter.json\"], \"url\": \"./opmeter.schema.json\"}]";

/// `render`.
pub const RENDER: &str = "\
opmeter.yaml, in short:
  attributes:
  - output_attribute: istio_operation_id
    operations:
    - {method: GET, path: /items/{id}, value: get_item}
  dimensions: {request_operation: istio_operation_id}
  where: {side: inbound, selector: {app: ratings}, deployment: ratings-v1}

Examples:
  opmeter render opmeter.yaml | kubectl apply --dry-run=server -f -
  opmeter render --as envoy-filter --only plugin opmeter.yaml
  opmeter render --as bootstrap opmeter.yaml > envoy.yaml
  opmeter render --istio-version 1.17 opmeter.yaml
  opmeter render --for shop --labels app=ratings root.yaml shop.yaml";

/// `scrape`.
pub const SCRAPE: &str = "\
Examples:
  opmeter scrape 127.0.0.1:15090
  opmeter scrape --by destination_service_name,response_code 127.0.0.1:15090
  opmeter scrape --sort p99 --format json 127.0.0.1:15090 127.0.0.2:15090";

/// `top`.
pub const TOP: &str = "\
Examples:
  opmeter top 127.0.0.1:15090
  opmeter top --filter items --interval 1 127.0.0.1:15090 127.0.0.2:15090
  kubectl port-forward deploy/ratings-v1 15090 & opmeter top localhost
  opmeter top --count 3 127.0.0.1:15090 | tee rates.txt";

/// `doctor`.
pub const DOCTOR: &str = "\
Examples:
  opmeter doctor
  opmeter doctor 127.0.0.1:15000 --format json
  kubectl port-forward deploy/ratings-v1 15000 & opmeter doctor localhost:15000";

/// `explain`.
pub const EXPLAIN: &str = "\
Examples:
  opmeter explain opmeter.json GET /items/7
  opmeter explain envoy/server-sidecar.yaml POST /items --status 503 -H 'host: ratings'
  opmeter explain opmeter.json GET / --side outbound --peer workload=reviews-v1,app=reviews
  opmeter explain opmeter.json GET /items --format json | jq -r '.series[].prometheus'";

/// `package`.
pub const PACKAGE: &str = "\
Examples:
  opmeter package
  opmeter package --as artifact --tag 0.1.0-artifact dist/opmeter.wasm
  opmeter package --format json | jq -r .manifest.digest

The folder is an OCI image layout, the same bytes for the same module. To push it:
  skopeo copy oci:dist/image:0.1.0 docker://REGISTRY/opmeter:0.1.0
A WasmPlugin then has `url: oci://REGISTRY/opmeter:0.1.0`, and as `sha256` the manifest's digest without `sha256:`.";
