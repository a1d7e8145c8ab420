//! `istio-manifests/`: made by `opmeter render`, of the shape Istio's CRDs have, without findings, and with configurations
//! that the module takes.

mod command;

use std::fs;
use std::path::{Path, PathBuf};

use command::{envoy, opmeter};
use kcr_extensions_istio_io::v1alpha1::wasmplugins::WasmPlugin;
use kcr_networking_istio_io::v1alpha3::envoyfilters::EnvoyFilter;
use kcr_telemetry_istio_io::v1::telemetries::Telemetry;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../istio-manifests");
    let entries = fs::read_dir(root).expect("istio-manifests");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.retain(|path| path.join("opmeter.yaml").is_file());
    folders.sort();
    assert!(folders.len() >= 8, "{folders:?}");
    folders
}

/// Arguments in the first line of a project.
fn args(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("opmeter.yaml")).expect("a project");
    let line = text.lines().next().expect("a line");
    let args = line.strip_prefix("# opmeter render ").expect("the command in the first line");
    args.split_whitespace().map(str::to_owned).collect()
}

fn documents(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("a file");
    serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let names = ["manifests.yaml", "tags.yaml", "volume.yaml"].map(|name| folder.join(name));
    names.into_iter().filter(|file| file.is_file()).collect()
}

#[test]
fn each_file_is_what_render_makes() {
    for folder in folders() {
        for (file, only) in [("manifests.yaml", "plugin,telemetry"), ("tags.yaml", "tags")] {
            let mut all = vec!["render".to_owned()];
            all.extend(args(&folder));
            all.extend(["--only", only, "opmeter.yaml"].map(str::to_owned));
            let output = opmeter(&folder, &all);
            let there = fs::read_to_string(folder.join(file)).unwrap_or_default();
            assert_eq!(output.stdout, there, "{}/{file}: run `make manifests`", folder.display());
        }
    }
}

#[test]
fn lint_finds_nothing() {
    for folder in folders() {
        let args = args(&folder);
        let version = args.iter().skip_while(|arg| *arg != "--istio-version").nth(1);
        let version = version.map_or("1.28", String::as_str);
        let mut all: Vec<String> = ["lint", "--istio-version", version].map(str::to_owned).into();
        all.extend(files(&folder).iter().map(|file| file.display().to_string()));
        let output = opmeter(&folder, &all);
        assert_eq!(output.code, 0, "{}: {}", folder.display(), output.stdout);
        assert!(!output.stdout.starts_with('0'), "{} was read", folder.display());
    }
}

/// Every value of `inner` is in `outer`: the type has kept it.
fn keeps(outer: &Value, inner: &Value, path: &str) {
    match (outer, inner) {
        (Value::Object(outer), Value::Object(inner)) => {
            for (key, value) in inner {
                let kept =
                    outer.get(key).unwrap_or_else(|| panic!("{path}.{key} is not in the CRD"));
                keeps(kept, value, &format!("{path}.{key}"));
            }
        }
        (Value::Array(outer), Value::Array(inner)) => {
            assert_eq!(outer.len(), inner.len(), "{path}");
            for (i, (outer, inner)) in outer.iter().zip(inner).enumerate() {
                keeps(outer, inner, &format!("{path}[{i}]"));
            }
        }
        _ => assert_eq!(outer, inner, "{path}"),
    }
}

fn typed<T: DeserializeOwned + Serialize>(document: &Value) {
    let typed: T = serde_json::from_value(document.clone()).expect("the type of the CRD");
    keeps(&serde_json::to_value(typed).expect("JSON"), document, "");
}

#[test]
fn every_resource_has_the_shape_of_its_crd() {
    let (mut seen, mut plain) = (0, 0);
    for document in folders().iter().flat_map(|folder| files(folder)).flat_map(|f| documents(&f)) {
        match document["kind"].as_str() {
            Some("WasmPlugin") => typed::<WasmPlugin>(&document),
            Some("EnvoyFilter") => typed::<EnvoyFilter>(&document),
            Some("Telemetry") => typed::<Telemetry>(&document),
            // A Deployment's patch has no selector, and IstioOperator is no resource of a cluster.
            Some("Deployment" | "IstioOperator") => {
                plain += 1;
                continue;
            }
            other => panic!("kind {other:?}"),
        }
        seen += 1;
    }
    assert!(seen >= 12 && plain >= 4, "{seen} and {plain}");
}

#[test]
fn kustomizations_name_files_that_are_there() {
    let mut seen = 0;
    for folder in folders() {
        let Ok(text) = fs::read_to_string(folder.join("kustomization.yaml")) else { continue };
        let kustomization: Value = serde_yaml_ng::from_str(&text).expect("YAML");
        for resource in kustomization["resources"].as_array().expect("resources") {
            assert!(folder.join(resource.as_str().expect("a name")).is_file(), "{folder:?}");
            seen += 1;
        }
    }
    assert!(seen >= 7);
}

/// Plugin configurations in a resource.
fn configurations(document: &Value, all: &mut Vec<String>) {
    if let Some(config) = document["spec"].get("pluginConfig") {
        all.push(config.to_string());
    }
    match document {
        Value::Object(fields) => {
            if fields.contains_key("vm_config") {
                let text = fields["configuration"]["value"].as_str().expect("a text");
                all.push(text.to_owned());
            }
            fields.values().for_each(|value| configurations(value, all));
        }
        Value::Array(items) => items.iter().for_each(|item| configurations(item, all)),
        _ => {}
    }
}

#[test]
fn the_module_takes_every_configuration() {
    let Some((binary, module)) = envoy::parts() else { return };
    let mut all = Vec::new();
    for document in folders().iter().flat_map(|folder| files(folder)).flat_map(|f| documents(&f)) {
        configurations(&document, &mut all);
    }
    all.sort();
    all.dedup();
    assert!(all.len() >= 6, "{all:?}");
    let filters: Vec<Value> = all.iter().map(|config| filter(&module, config)).collect();
    envoy::validate(&binary, &bootstrap(filters).to_string()).expect("Envoy and module take it");
    // The same way of asking does find what is wrong.
    let wrong = filter(&module, r#"{"metrics": [{"nam": "x"}]}"#);
    let log = envoy::validate(&binary, &bootstrap(vec![wrong]).to_string()).unwrap_err();
    assert!(log.contains("did you mean \"name\"?"), "{log}");
}

fn filter(module: &Path, config: &str) -> Value {
    json!({
        "name": "opmeter",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": config,
                },
            },
        },
    })
}

fn bootstrap(mut filters: Vec<Value>) -> Value {
    filters.push(json!({"name": "router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {},
        "http_filters": filters,
    });
    json!({"static_resources": {"listeners": [{
        "name": "l",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}],
    }]}})
}
