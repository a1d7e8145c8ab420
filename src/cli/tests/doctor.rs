//! `opmeter doctor` with real Envoys in the states that it tells apart.

mod command;

use std::path::Path;
use std::time::{Duration, Instant};

use command::discovered::{FILTER, Folder, changed, filter, manager, plugin};
use command::envoy::{Running, free_ports, get, parts};
use command::opmeter;
use command::sidecar::Sidecar;
use serde_json::{Value, json};

/// Nothing that only this module has.
const ALIKE: &str = r#"{"metrics": [{"dimensions": {"request_operation": "request.method"}}]}"#;
const STRICT: &str = r#"{"strict": true, "metrcs": []}"#;

fn doctor(admin: &str) -> (i32, String) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = opmeter(here, &["doctor", admin]);
    assert_eq!(output.stderr, "");
    (output.code, output.stdout)
}

#[track_caller]
fn finds(admin: &str, parts: &[&str]) -> String {
    let (code, said) = doctor(admin);
    assert_eq!(code, 1, "{said}");
    for part in parts {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    said
}

#[track_caller]
fn is_content(sidecar: &Sidecar, mounted: &str) {
    sidecar.call("/items/7", 2);
    let (code, said) = doctor(&sidecar.running.admin);
    assert!(code == 0 && !said.contains("problem"), "{said}");
    assert!(said.contains(mounted), "no {mounted:?} in:\n{said}");
    assert!(said.contains("series of istio_requests_total"), "{said}");
}

#[track_caller]
fn status(sidecar: &Sidecar) -> String {
    let answer = get(&sidecar.traffic, "/items/7").expect("an answer");
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_discovered_filter_without_a_telling_name_is_found() {
    let Some(folder) = Folder::new() else { return };
    let sidecar = folder.sidecar(Some(&filter(&folder.module(), ALIKE)));
    is_content(&sidecar, "the module is mounted in 1 of 2 listeners, as shop.base\n");
}

#[test]
fn every_kind_of_mount_is_found_without_a_name() {
    let Some(folder) = Folder::new() else { return };
    let module = folder.module();
    let logger = json!([{"name": "logger", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog",
        "config": plugin(&module, ALIKE),
    }}]);
    let sidecar = changed(|bootstrap| {
        let manager = manager(bootstrap);
        manager["http_filters"].as_array_mut().expect("filters").remove(0);
        manager["access_log"] = logger.clone();
    });
    is_content(&sidecar, "the module is mounted in 1 of 2 listeners\n");
    drop(sidecar);
    let sidecar = changed(|bootstrap| {
        let mut config = plugin(&module, ALIKE);
        let vm = config.as_object_mut().expect("a plugin").remove("vm_config");
        config["vmConfig"] = vm.expect("a VM");
        manager(bootstrap)["http_filters"][0] = json!({"name": "x", "typed_config": {
            "@type": "type.googleapis.com/xds.type.v3.TypedStruct",
            "type_url": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "value": {"config": config},
        }});
    });
    is_content(&sidecar, "the module is mounted in 1 of 2 listeners\n");
}

#[test]
fn a_filter_that_waits_for_its_configuration_is_told() {
    let Some(folder) = Folder::new() else { return };
    let sidecar = folder.sidecar(None);
    assert_eq!(status(&sidecar), "500");
    let said = finds(
        &sidecar.running.admin,
        &[
            "problem  filter shop.base waits for its configuration: it has none, and Envoy answers 500",
            "         nobody sends it",
        ],
    );
    assert!(!said.contains("not loaded"), "{said}");
}

#[test]
fn another_filter_in_the_place_of_the_module_is_told() {
    let Some(folder) = Folder::new() else { return };
    let rbac = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
    let sidecar = folder.sidecar(Some(&json!({"@type": rbac})));
    assert_eq!(status(&sidecar), "503", "nothing answers behind it");
    finds(
        &sidecar.running.admin,
        &[
            "problem  the module of filter shop.base could not be fetched",
            "has put RBAC in its place, so requests pass and are not counted",
            "check `url`, `sha256` and `imagePullSecret`",
        ],
    );
    drop(sidecar);
    let sidecar = folder.sidecar(Some(&json!({"@type": rbac, "rules": {}})));
    assert_eq!(status(&sidecar), "403");
    finds(&sidecar.running.admin, &["has put RBAC in its place, so requests are denied with 403"]);
}

#[test]
fn a_missing_file_is_told() {
    let Some(folder) = Folder::new() else { return };
    let sidecar = folder.sidecar(Some(&filter(Path::new("/nowhere/x.wasm"), ALIKE)));
    assert_eq!(status(&sidecar), "500");
    let said = finds(
        &sidecar.running.admin,
        &[
            "the module's file /nowhere/x.wasm cannot be loaded): it has none, and Envoy answers 500",
            "mount the volume that has the file into the proxy first",
        ],
    );
    assert!(!said.contains("strict") && !said.contains("not loaded"), "{said}");
}

#[test]
fn what_strict_refuses_is_told() {
    let Some(folder) = Folder::new() else { return };
    let sidecar = folder.sidecar(Some(&filter(&folder.module(), STRICT)));
    assert_eq!(status(&sidecar), "500");
    finds(
        &sidecar.running.admin,
        &[
            "`strict` refuses it: metrcs: unknown field (did you mean \"metrics\"?)): it has none",
            "without `strict` the module leaves out what is wrong, and requests pass",
        ],
    );
    drop(sidecar);
    let sidecar = folder.sidecar(Some(&filter(&folder.module(), ALIKE)));
    is_content(&sidecar, "as shop.base\n");
    folder.send(&filter(&folder.module(), STRICT));
    let refused = format!("extension_config_discovery.http_filter.{FILTER}.update_rejected: 1");
    until(|| get(&sidecar.running.admin, "/stats").is_some_and(|stats| stats.contains(&refused)));
    let said = finds(
        &sidecar.running.admin,
        &["the last one is refused, and the one before goes on\n", "as shop.base\n"],
    );
    assert_eq!(said.matches("problem").count(), 1, "{said}");
}

#[track_caller]
fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "it has not come to that");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_listener_that_was_not_taken_is_told_with_its_reason() {
    let Some(folder) = Folder::new() else { return };
    let Some((binary, _)) = parts() else { return };
    for (module, configuration, expected) in [
        (Path::new("/nowhere/x.wasm"), ALIKE, "mount the volume that has the file"),
        (&folder.module(), STRICT, "without `strict` the module leaves out what is wrong"),
    ] {
        let path = folder.write("lds.json", &json!([listener(module, configuration)]));
        let [admin] = free_ports();
        let bootstrap = json!({
            "node": {"id": "x", "cluster": "x"},
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
            "dynamic_resources": {"lds_config": {"path_config_source": {"path": path}}},
        });
        let running = Running::start(&binary, &bootstrap.to_string(), admin);
        let seen = "listener wrong was refused, and it is not there: connections to it are refused";
        let said = finds(&running.admin, &[seen, expected]);
        assert_eq!(said.matches("problem").count(), 1, "{said}");
    }
}

/// A filter of connections.
fn listener(module: &Path, configuration: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "wrong",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [
            {"name": "x", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm",
                "config": plugin(module, configuration),
            }},
            {"name": "echo", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo",
            }},
        ]}],
    })
}

#[test]
fn two_plugins_in_one_chain_are_told() {
    let Some(folder) = Folder::new() else { return };
    let own = r#"{"definitions": [{"name": "calls", "value": "1"}]}"#;
    let sidecar = changed(|bootstrap| {
        let filters = manager(bootstrap)["http_filters"].as_array_mut().expect("filters");
        filters[0] = json!({"name": FILTER, "typed_config": filter(&folder.module(), ALIKE)});
        let another = json!({"name": "shop.team", "typed_config": filter(&folder.module(), own)});
        filters.insert(1, another);
    });
    sidecar.call("/items/7", 1);
    finds(
        &sidecar.running.admin,
        &[
            "problem  shop.team gets the same requests as shop.base, and both are this module\n",
            "put both configurations into one resource; or set \"standard_metrics\": false",
            "problem  opmeter_duplicate_streams_total is 1: ",
        ],
    );
}

#[test]
fn parts_that_were_left_out_are_listed() {
    let Some(folder) = Folder::new() else { return };
    let wrong =
        r#"{"metrics": [{"dimensions": {"request_operation": "request.metod"}}], "attributs": []}"#;
    let sidecar = folder.sidecar(Some(&filter(&folder.module(), wrong)));
    sidecar.call("/items/7", 1);
    finds(
        &sidecar.running.admin,
        &[
            "problem  attributs: unknown field (did you mean \"attributes\"?)",
            "problem  metrics[0].dimensions.request_operation: ",
            "(did you mean \"request.method\"?)",
            "opmeter_config_errors_total is ",
            "they are told above; all else is in force",
            "fine     1 series of istio_requests_total",
        ],
    );
}

/// Istio's proxies have few of Envoy's statistics, and none of discovered filters.
#[test]
fn where_istio_leaves_statistics_out_it_is_told_all_the_same() {
    let Some(folder) = Folder::new() else { return };
    let sidecar = folder.istio_sidecar(Some(&filter(&folder.module(), STRICT)));
    assert_eq!(status(&sidecar), "500");
    finds(
        &sidecar.running.admin,
        &[
            "`strict` refuses it: metrcs: ",
            "no module runs, and where the filter never had a configuration",
        ],
    );
    drop(sidecar);
    let sidecar = folder.istio_sidecar(Some(&filter(Path::new("/nowhere/x.wasm"), ALIKE)));
    assert_eq!(status(&sidecar), "500");
    finds(&sidecar.running.admin, &["/nowhere/x.wasm cannot be loaded): no module runs"]);
    drop(sidecar);
    let sidecar = folder.istio_sidecar(Some(&filter(&folder.module(), ALIKE)));
    is_content(&sidecar, "as shop.base\n");
    folder.send(&filter(&folder.module(), STRICT));
    until(|| {
        get(&sidecar.scrape, "/stats/prometheus").is_some_and(|page| page.contains("rejected"))
    });
    let said = finds(&sidecar.running.admin, &["the one before goes on", "as shop.base\n"]);
    assert_eq!(said.matches("problem").count(), 1, "{said}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_told() {
    let Some(folder) = Folder::new() else { return };
    let sidecar = folder.sidecar(Some(&filter(&folder.module(), ALIKE)));
    is_content(&sidecar, "as shop.base\n");
    folder.send(&filter(&folder.module(), "metrics: []"));
    until(|| {
        get(&sidecar.scrape, "/stats/prometheus").is_some_and(|page| page.contains("unreadable"))
    });
    sidecar.call("/items/7", 1);
    finds(
        &sidecar.running.admin,
        &[
            "problem  configuration: not JSON: ",
            "a plugin configuration is JSON; `opmeter render` writes it from YAML",
            "fine     1 series of istio_requests_total",
        ],
    );
    let mut of_struct = filter(&folder.module(), ALIKE);
    of_struct["config"]["configuration"] = json!({
        "@type": "type.googleapis.com/google.protobuf.Struct",
        "value": {"metrics": []},
    });
    folder.send(&of_struct);
    let accepted =
        |n| format!("extension_config_discovery.http_filter.{FILTER}.update_success: {n}");
    let taken = |n| {
        until(|| get(&sidecar.running.admin, "/stats").is_some_and(|s| s.contains(&accepted(n))));
    };
    taken(3);
    finds(&sidecar.running.admin, &["problem  the configuration is a google.protobuf.Struct"]);
    folder.send(&filter(&folder.module(), ALIKE));
    taken(4);
    let (code, said) = doctor(&sidecar.running.admin);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("note     opmeter_config_unreadable_total is "), "{said}");
}
