//! `opmeter explain`: what it tells is what a real Envoy counts.

mod command;

use std::path::{Path, PathBuf};

use command::{envoy, golden, opmeter};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain")
}

#[test]
fn a_request_is_explained_from_operation_to_scrape() {
    let args = ["explain", "opmeter.yaml", "GET", "/items/7?x", "-H", "Host: ratings:9080"];
    let peer = ["--peer", "workload=productpage-v1,namespace=default,app=productpage,role=web"];
    let output = opmeter(&folder(), &[&args[..], &peer[..]].concat());
    golden(&folder().join("inbound.txt"), &output.stdout);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
}

#[test]
fn a_rewritten_path_is_told_from_the_one_received() {
    let of = |config: &str, wanted: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plugin.json"), config).unwrap();
        let args = ["explain", "plugin.json", "GET", "/api/items/7", "--rewrite", "/items/7"];
        let output = opmeter(folder.path(), &[&args[..], &["--format", "json"]].concat());
        let json: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        let attribute = &json["attributes"][0];
        assert_eq!(attribute["value"], wanted, "{attribute}");
        // What the recorder makes of it is the same.
        assert!(output.stdout.contains(&format!("op=.={wanted};.;")), "{}", output.stdout);
        attribute["says"].as_str().unwrap().to_owned()
    };
    let config = |source: &str| {
        format!(
            r#"{{"attributes":[{{"output_attribute":"op"{source},"operations":[
                {{"path":"/api/items/{{id}}","value":"in"}},{{"path":"/items/{{id}}","value":"out"}}]}}],
                "metrics":[{{"dimensions":{{"op":"op"}}}}]}}"#
        )
    };
    assert!(of(&config(""), "in").ends_with("(path as received)"));
    assert!(of(&config(r#","path_source":"SENT""#), "out").ends_with("(path as sent)"));
    let matching = r#"{"attributes":[{"output_attribute":"op","match":[
        {"condition":"request.url_path == '/items/7'","value":"end"}]}],
        "metrics":[{"dimensions":{"op":"op"}}]}"#;
    of(matching, "end");
}

#[test]
fn every_kind_of_rule_is_named() {
    let of = |args: &[&str]| {
        let all = [&["explain", "opmeter.yaml", "--format", "json"], args].concat();
        let output = opmeter(&folder(), &all);
        let json: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        let attribute = &json["attributes"][0];
        let text = |name: &str| attribute[name].as_str().unwrap_or("-").to_owned();
        (text("value"), text("rule"), text("class"))
    };
    let expect = |value: &str, rule: &str, class: &str| {
        (value.to_owned(), rule.to_owned(), class.to_owned())
    };
    let tree = "template tree";
    assert_eq!(of(&["GET", "/items/7"]), expect("get_item", "attributes[0].operations[0]", tree));
    assert_eq!(
        of(&["GET", "/health"]),
        expect("probe", "attributes[0].match[0]", "native, looked up")
    );
    assert_eq!(
        of(&["GET", "/users"]),
        expect("listUsers", "attributes[0].openapi.paths[\"/users\"].get", tree)
    );
    assert_eq!(of(&["PUT", "/nothing"]), expect("-", "attributes[0]", ""));
}

#[test]
fn head_is_explained_as_get() {
    for (path, says) in [("/items/7", "GET /items/{id}"), ("/users", "GET /users")] {
        let output = opmeter(&folder(), &["explain", "opmeter.yaml", "HEAD", path]);
        let expected = format!(": {says} (HEAD is a GET without content)\n");
        assert!(output.stdout.contains(&expected), "{}", output.stdout);
    }
}

#[test]
fn a_telemetry_resource_is_explained_for_each_side() {
    let of = |side: &str| {
        let args = ["explain", "telemetry.yaml", "GET", "/items/7", "--format", "json"];
        let output = opmeter(&folder(), &[&args[..], &["--side", side]].concat());
        assert_eq!((output.code, output.stderr.as_str()), (0, ""));
        output.stdout
    };
    for (side, value, place) in [
        ("inbound", "get_item", "telemetry.metrics[0].overrides[0].tagOverrides.request_operation"),
        (
            "outbound",
            "outbound",
            "telemetry.metrics[0].overrides[1].tagOverrides.request_operation",
        ),
    ] {
        let told = of(side);
        assert!(told.contains(&format!("request_operation=\\\"{value}\\\"")), "{told}");
        assert!(told.contains(place), "{told}");
        assert!(!told.contains("istio_request_bytes"), "{told}");
    }
}

#[test]
fn what_is_not_in_force_is_not_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint/configuration");
    let output = opmeter(&folder, &["explain", "strict.yaml", "GET", "/"]);
    assert_eq!(output.code, 2);
    assert_eq!(
        output.stderr,
        "opmeter: `strict` refuses this configuration; `opmeter lint` tells why\n"
    );
    let output = opmeter(&folder, &["explain", "wrong.yaml", "GET", "/users/7"]);
    assert_eq!(output.code, 0);
    assert_eq!(
        output.stderr,
        "opmeter: 4 parts of the configuration are left out; `opmeter lint` tells which\n"
    );
    assert!(output.stdout.starts_with("op = one\n"), "{}", output.stdout);
}

/// The same bootstrap and the same request, explained and sent: the labels of the request counter are the same.
#[test]
fn a_real_envoy_counts_what_is_explained() {
    let Some((binary, module)) = envoy::parts() else { return };
    let here = tempfile::tempdir().expect("a folder");
    let project = std::fs::read_to_string(folder().join("project.yaml")).expect("a project");
    let project = project.replace("MODULE", &module.to_string_lossy());
    std::fs::write(here.path().join("opmeter.yaml"), project).expect("a file");
    let output = opmeter(here.path(), &["render", "--as", "bootstrap"]);
    let [traffic, admin, scrape] = envoy::free_ports();
    let text = output
        .stdout
        .replace("port_value: 15006", &format!("port_value: {traffic}"))
        .replace("port_value: 15000", &format!("port_value: {admin}"))
        .replace("port_value: 15090", &format!("port_value: {scrape}"));
    std::fs::write(here.path().join("envoy.yaml"), &text).expect("a file");
    let running = envoy::Running::start(&binary, &text, admin);
    let headers = [("x-tier", "gold")];
    envoy::send(&format!("127.0.0.1:{traffic}"), "/items/7", &headers).expect("an answer");
    let counted = envoy::get(&format!("127.0.0.1:{scrape}"), "/stats/prometheus").expect("metrics");
    let counted = counted.lines().find(|line| line.starts_with("istio_requests_total{"));
    let counted = labels(counted.unwrap_or_else(|| panic!("{}", running.log())));

    let args = ["explain", "envoy.yaml", "GET", "/items/7", "--status", "503", "--format", "json"];
    let args = [&args[..], &["-H", "x-tier: gold", "-H", "host: test"]].concat();
    let output = opmeter(here.path(), &args);
    let json: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let explained = labels(json["series"][0]["prometheus"].as_str().expect("a line"));
    let differing: Vec<_> = counted.iter().filter(|label| !explained.contains(label)).collect();
    // Nothing listens behind this Envoy, which the model does not know.
    assert!(
        differing.iter().all(|label| label.starts_with("response_flags=")),
        "{differing:?}\ncounted {counted:?}\nexplained {explained:?}"
    );
    assert_eq!(counted.len(), explained.len());
    for expected in ["request_operation=\"get_item\"", "tier=\"gold\"", "size=\"small\""] {
        assert!(explained.iter().any(|label| label == expected), "{expected} in {explained:?}");
    }
}

fn labels(line: &str) -> Vec<String> {
    let inner = line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).expect("labels").0;
    inner.split(',').map(str::to_owned).collect()
}
