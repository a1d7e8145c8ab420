//! The rewriting, and what every bootstrap of the repository must have in common.

use std::path::PathBuf;

use serde_yaml_ng::Value;

use super::Bootstrap;

const FILES: [&str; 3] = ["client-sidecar.yaml", "server-sidecar.yaml", "gateway.yaml"];

/// Envoy's own tags, Istio's standard labels of HTTP metrics, the operations, and those of istio_build.
const TAGS: [&str; 36] = [
    "envoy.cluster_name",
    "envoy.http_conn_manager_prefix",
    "envoy.listener_address",
    "envoy.response_code",
    "envoy.response_code_class",
    "envoy.tcp_prefix",
    "envoy.worker_id",
    "reporter",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_service",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_service_name",
    "destination_service_namespace",
    "destination_cluster",
    "request_protocol",
    "response_code",
    "grpc_response_status",
    "response_flags",
    "connection_security_policy",
    "request_operation",
    "upstream_operation",
    "component",
    "tag",
];

/// Istio's default histogram bounds.
const BOUNDS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    2500.0,
    5000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

fn file(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../envoy").join(name);
    serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_sequence().unwrap_or_else(|| panic!("{key} is not a list"))
}

fn named<'a>(value: &'a Value, kind: &str, name: &str) -> &'a Value {
    let resources = list(&value["static_resources"], kind);
    resources
        .iter()
        .find(|resource| resource["name"] == name)
        .unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn routes<'a>(bootstrap: &'a Value, listener: &str) -> &'a [Value] {
    let filter = &named(bootstrap, "listeners", listener)["filter_chains"][0]["filters"][0];
    list(&filter["typed_config"]["route_config"]["virtual_hosts"][0], "routes")
}

#[test]
fn every_bootstrap_has_the_same_stats_tags() {
    for name in FILES {
        let bootstrap = file(name);
        assert_eq!(bootstrap["stats_config"]["use_all_default_tags"], false, "{name}");
        let tags = list(&bootstrap["stats_config"], "stats_tags");
        let names: Vec<&str> = tags.iter().map(|tag| tag["tag_name"].as_str().unwrap()).collect();
        assert_eq!(names, TAGS, "{name}");
    }
}

#[test]
fn every_standard_label_is_anchored() {
    for name in FILES {
        let bootstrap = file(name);
        for tag in &list(&bootstrap["stats_config"], "stats_tags")[7..34] {
            let label = tag["tag_name"].as_str().unwrap();
            let expected = format!(r"^wasmcustom\.(?:.*?;\.;)?({label}=\.=(.*?);\.;)");
            assert_eq!(tag["regex"].as_str(), Some(expected.as_str()), "{name}");
        }
    }
}

#[test]
fn every_bootstrap_has_istios_histogram_bounds_for_wasm_metrics() {
    for name in FILES {
        let bootstrap = file(name);
        let [setting] = list(&bootstrap["stats_config"], "histogram_bucket_settings") else {
            panic!("{name}: one setting");
        };
        assert_eq!(setting["match"]["prefix"], "wasmcustom", "{name}");
        let bounds: Vec<f64> = list(setting, "buckets").iter().filter_map(Value::as_f64).collect();
        assert_eq!(bounds, BOUNDS, "{name}");
    }
}

#[test]
fn the_prometheus_port_routes_one_exact_path() {
    for name in FILES {
        let bootstrap = file(name);
        let address = &named(&bootstrap, "listeners", "prometheus")["address"]["socket_address"];
        assert_eq!(address["port_value"], 15090, "{name}");
        let [route] = routes(&bootstrap, "prometheus") else { panic!("{name}: one route") };
        let expected: Value = serde_yaml_ng::from_str("{path: /stats/prometheus}").unwrap();
        assert_eq!(route["match"], expected, "{name}");
        assert_eq!(route["route"]["cluster"], "admin", "{name}");
    }
}

#[test]
fn the_health_port_routes_to_readiness_and_the_admin_is_on_loopback() {
    for name in FILES {
        let bootstrap = file(name);
        let [route] = routes(&bootstrap, "health") else { panic!("{name}: one route") };
        assert_eq!(route["match"]["path"], "/healthz/ready", "{name}");
        assert_eq!(route["route"]["prefix_rewrite"], "/ready", "{name}");
        assert_eq!(
            bootstrap["admin"]["address"]["socket_address"]["address"], "127.0.0.1",
            "{name}"
        );
    }
}

fn main_manager<'a>(bootstrap: &'a Value, listener: &str) -> &'a Value {
    &named(bootstrap, "listeners", listener)["filter_chains"][0]["filters"][0]["typed_config"]
}

#[test]
fn the_module_is_the_first_filter_fails_open_and_has_a_json_configuration() {
    for (name, listener) in FILES.into_iter().zip(["outbound", "inbound", "ingress"]) {
        let bootstrap = file(name);
        let filter = &main_manager(&bootstrap, listener)["http_filters"][0];
        assert_eq!(filter["name"], "opmeter", "{name}");
        let plugin = &filter["typed_config"]["config"];
        assert_eq!(plugin["failure_policy"], "FAIL_OPEN", "{name}");
        let text = plugin["configuration"]["value"].as_str().unwrap();
        let configuration: serde_json::Value = serde_json::from_str(text).unwrap();
        let no_host_fallback = configuration["disable_host_header_fallback"] == true;
        assert_eq!(no_host_fallback, listener != "outbound", "{name}");
        let dimensions = configuration["metrics"][0]["dimensions"].as_object().unwrap();
        assert_eq!(dimensions.contains_key("upstream_operation"), listener != "inbound", "{name}");
    }
}

#[test]
fn the_gateway_removes_peer_metadata_of_its_clients_before_any_filter() {
    let bootstrap = file("gateway.yaml");
    let [extension] = list(main_manager(&bootstrap, "ingress"), "early_header_mutation_extensions")
    else {
        panic!("one extension");
    };
    let removed: Vec<&str> = list(&extension["typed_config"], "mutations")
        .iter()
        .filter_map(|mutation| mutation["remove"].as_str())
        .collect();
    assert_eq!(removed, ["x-envoy-peer-metadata", "x-envoy-peer-metadata-id"]);
}

const SMALL: &str = r#"
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}
static_resources:
  listeners:
  - name: other
    address: {socket_address: {address: 0.0.0.0, port_value: 2}}
  - name: mine
    address: {socket_address: {address: 0.0.0.0, port_value: 3}}
    plugin: {vm_config: {code: {local: {filename: dist/opmeter.wasm}}}}
  clusters:
  - name: "a|b"
    load_assignment:
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 4}}}
  - name: empty
    load_assignment: {endpoints: []}
"#;

#[test]
fn parts_are_moved_by_name_and_nothing_else_changes() {
    let mut bootstrap = Bootstrap::parse(SMALL).unwrap();
    bootstrap.move_admin("127.0.0.9:11".parse().unwrap()).unwrap();
    bootstrap.move_listener("mine", "127.0.0.9:13".parse().unwrap()).unwrap();
    bootstrap.move_cluster("a|b", "[::1]:14".parse().unwrap()).unwrap();
    bootstrap.set_module("/m/x.wasm".as_ref()).unwrap();
    bootstrap.flush_every("1s").unwrap();
    let expected = SMALL
        .replace("127.0.0.1, port_value: 1}", "127.0.0.9, port_value: 11}")
        .replace("0.0.0.0, port_value: 3}", "127.0.0.9, port_value: 13}")
        .replace("127.0.0.1, port_value: 4}", "'::1', port_value: 14}")
        .replace("dist/opmeter.wasm", "/m/x.wasm");
    let expected: Value =
        serde_yaml_ng::from_str(&(expected + "stats_flush_interval: 1s\n")).unwrap();
    let written: Value = serde_yaml_ng::from_str(&bootstrap.to_json().unwrap()).unwrap();
    assert_eq!(written, expected);
}

const CHAINS: &str = r#"
static_resources:
  listeners:
  - {name: one, filter_chains: [{filters: []}]}
  - {name: two, filter_chains: [{filters: []}, {filters: []}]}
  clusters:
  - {name: "a|b", type: STATIC}
  - {name: "c|d", type: STATIC}
"#;

#[test]
fn transport_sockets_go_to_the_named_parts() {
    let mut bootstrap = Bootstrap::parse(CHAINS).unwrap();
    bootstrap.set_listener_socket("one", &serde_json::json!({ "name": "in" })).unwrap();
    bootstrap.set_cluster_socket("c|d", &serde_json::json!({ "name": "out" })).unwrap();
    let expected = CHAINS
        .replace(
            "{name: one, filter_chains: [{",
            "{name: one, filter_chains: [{transport_socket: {name: in}, ",
        )
        .replace("{name: \"c|d\",", "{name: \"c|d\", transport_socket: {name: out},");
    let expected: Value = serde_yaml_ng::from_str(&expected).unwrap();
    let written: Value = serde_yaml_ng::from_str(&bootstrap.to_json().unwrap()).unwrap();
    assert_eq!(written, expected);
}

#[test]
fn a_listener_with_other_than_one_filter_chain_gets_no_transport_socket() {
    let socket = serde_json::json!({});
    for (text, name) in [(CHAINS, "two"), (SMALL, "mine")] {
        let error = Bootstrap::parse(text).unwrap().set_listener_socket(name, &socket).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("listener {name:?} has not exactly one filter chain")
        );
    }
}

#[test]
fn a_missing_part_is_named() {
    let mut bootstrap = Bootstrap::parse(SMALL).unwrap();
    let anywhere = "127.0.0.1:1".parse().unwrap();
    let message = |outcome: anyhow::Result<()>| outcome.unwrap_err().to_string();
    assert_eq!(
        message(bootstrap.move_listener("x", anywhere)),
        "no static_resources.listeners named \"x\""
    );
    assert_eq!(
        message(bootstrap.move_cluster("empty", anywhere)),
        "cluster \"empty\" has not exactly one endpoint"
    );
    let mut bare = Bootstrap::parse("{a: 1}").unwrap();
    assert_eq!(message(bare.move_admin(anywhere)), "no admin");
    assert_eq!(message(bare.move_cluster("a", anywhere)), "no static_resources.clusters");
    assert_eq!(message(bare.set_module("x".as_ref())), "no Wasm plugin with code.local.filename");
}
