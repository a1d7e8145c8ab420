//! An attribute of the phase `ON_REQUEST` where a request is odd, or does not get as far as the application.

use crate::{get, real_envoy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::app::App;
use support::chain::{Chain, Entry, filter, opmeter, to_app};
use support::envoy::Envoy;
use support::http;
use support::scrape::Scrape;

/// One attribute by template, one by condition, and the path as a label.
const CONFIG: &str = r#"{
    "attributes": [
        {"output_attribute": "operation", "phase": "ON_REQUEST", "operations": [
            {"value": "get_item", "path": "/items/{id}"},
            {"value": "administer", "path": "/admin"}]},
        {"output_attribute": "area", "phase": "ON_REQUEST", "match": [
            {"value": "items", "condition": "request.url_path.startsWith('/items')"},
            {"value": "admin", "condition": "request.url_path == '/admin'"}]}],
    "metrics": [{"dimensions": {"operation": "operation", "area": "area", "now": "request.path"}}]
}"#;

const LOG: &str =
    "%FILTER_STATE(wasm.operation:PLAIN)% %FILTER_STATE(wasm.area:PLAIN)% %RESPONSE_CODE%\n";

fn deny_admin() -> Value {
    let path = json!({ "url_path": { "path": { "exact": "/admin" } } });
    let policy = json!({ "permissions": [path], "principals": [{ "any": true }] });
    let rules = json!({ "action": "DENY", "policies": { "admin": policy } });
    filter("rbac.v3.RBAC", json!({ "rules": rules }))
}

/// Makes a path of bytes that are no text, which Envoy's own parser of HTTP/1 refuses.
fn raw() -> Value {
    let code = r"function envoy_on_request(handle)
        local headers = handle:headers()
        if headers:get('x-raw') then
            headers:replace(':path', '/items/raw\255\254')
        end
    end";
    filter("lua.v3.Lua", json!({ "default_source_code": { "inline_string": code } }))
}

async fn proxy(envoy: &std::path::Path, filters: Vec<Value>, app: &App) -> Envoy {
    let mut entry = Entry::new("entry", filters);
    let bytes =
        json!({ "match": { "prefix": "/items/raw" }, "direct_response": { "status": 204 } });
    let nowhere = json!({ "match": { "path": "/items/nowhere" }, "route": { "cluster": "none" } });
    entry.routes = json!([bytes, nowhere, to_app()]);
    entry.access_log = Some(LOG);
    let chain = Chain {
        listeners: vec![entry],
        dimensions: ["operation", "area", "now"].map(str::to_owned).to_vec(),
        upstream: app.port,
        collector: None,
    };
    chain.start(envoy).await.unwrap()
}

/// Requests by operation, area and path.
async fn counts(proxy: &Envoy, total: f64) -> BTreeMap<[String; 3], f64> {
    let scrape = Scrape::when(proxy, "istio_requests_total", total).await.unwrap();
    let all = scrape.all("istio_requests_total").into_iter();
    let of = |name: &str, labels: &BTreeMap<String, String>| labels[name].clone();
    all.map(|series| (["operation", "area", "now"].map(|n| of(n, &series.labels)), series.value))
        .collect()
}

fn count(operation: &str, area: &str, now: &str) -> ([String; 3], f64) {
    ([operation, area, now].map(str::to_owned), 1.0)
}

#[tokio::test]
async fn odd_paths_have_their_operation() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = proxy(&envoy, vec![raw(), opmeter(CONFIG), deny_admin()], &app).await;
    let targets =
        ["/items/7?next=/admin", "/items/%ff%00", "/admin?x", "/items/nowhere", "/", "/other"];
    let mut statuses = Vec::new();
    for target in targets {
        let answer = http::call(proxy.traffic_port, get(target, &[])).await.unwrap();
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 403, 503, 200, 200]);
    let answer = http::call(proxy.traffic_port, get("/", &[("x-raw", "1")])).await.unwrap();
    assert_eq!(answer.status(), 204);

    let expected = [
        "get_item items 200",
        "get_item items 200",
        "administer admin 403",
        "get_item items 503",
        "- - 200",
        "- - 200",
        "get_item items 204",
    ];
    assert_eq!(proxy.access_log(7).await.unwrap(), expected);
    let expected = BTreeMap::from([
        count("get_item", "items", "/items/7?next=/admin"),
        count("get_item", "items", "/items/%ff%00"),
        count("administer", "admin", "/admin?x"),
        count("get_item", "items", "/items/nowhere"),
        count("unknown", "unknown", "/"),
        count("unknown", "unknown", "/other"),
        count("get_item", "items", "/items/raw\u{fffd}\u{fffd}"),
    ]);
    assert_eq!(counts(&proxy, 7.0).await, expected);
    let scrape = Scrape::of(&proxy).await.unwrap();
    assert_eq!(scrape.total("opmeter_evaluation_errors_total"), 0.0);
}

/// A filter in front of the module answers: the module sees the log only, and the headers as that filter saw them.
#[tokio::test]
async fn a_request_denied_in_front_has_its_operation() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = proxy(&envoy, vec![deny_admin(), opmeter(CONFIG)], &app).await;
    for (target, status) in [("/admin", 403), ("/items/7", 200)] {
        let answer = http::call(proxy.traffic_port, get(target, &[])).await.unwrap();
        assert_eq!(answer.status(), status, "{target}");
    }
    let log = proxy.access_log(2).await.unwrap();
    assert_eq!(log, ["administer admin 403", "get_item items 200"]);
    let expected = BTreeMap::from([
        count("administer", "admin", "/admin"),
        count("get_item", "items", "/items/7"),
    ]);
    assert_eq!(counts(&proxy, 2.0).await, expected);
    assert!(app.targets() == ["/items/7"], "{:?}", app.targets());
}
