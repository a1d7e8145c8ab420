//! An attribute of the phase `ON_REQUEST` tells what the client sent, whatever becomes of the request later, wherever it is read.

use crate::{get, has_formatted_tags, with_collector};
use serde_json::{Value, json};
use support::app::App;
use support::chain::{Chain, Entry, filter, opmeter};
use support::http;
use support::scrape::Scrape;

/// `operation` and `host` as received; `late_operation` by the same templates, and `late_host`, when the response is over.
const CONFIG: &str = r#"{
    "attributes": [
        {"output_attribute": "operation", "phase": "ON_REQUEST", "operations": [
            {"value": "get_item", "method": "GET", "path": "/items/{id}"},
            {"value": "drop_item", "method": "DELETE", "path": "/items/{id}"},
            {"value": "audit", "path": "/audit"},
            {"value": "secret", "path": "/secret"},
            {"value": "slow", "path": "/slow"}]},
        {"output_attribute": "host", "phase": "ON_REQUEST", "match": [
            {"value": "shop", "condition": "request.host == 'shop.example'"}]},
        {"output_attribute": "late_operation", "path_source": "SENT", "operations": [
            {"value": "get_item", "method": "GET", "path": "/items/{id}"},
            {"value": "rewritten", "path": "/internal/{*rest}"}]},
        {"output_attribute": "late_host", "match": [
            {"value": "shop", "condition": "request.host == 'shop.example'"},
            {"value": "rewritten", "condition": "request.host == 'inner.example'"}]}],
    "metrics": [{"dimensions": {
        "operation": "operation", "host": "host",
        "late_operation": "late_operation", "late_host": "late_host",
        "now": "request.path", "by_host": "filter_state['wasm.operation']"}}]
}"#;

/// The labels of [`CONFIG`].
const DIMENSIONS: [&str; 6] =
    ["operation", "host", "late_operation", "late_host", "now", "by_host"];

const LOG: &str = "%FILTER_STATE(wasm.operation:PLAIN)% %FILTER_STATE(wasm.host:PLAIN)% \
    %FILTER_STATE(wasm.late_operation:PLAIN)% %FILTER_STATE(wasm.late_host:PLAIN)% \
    %REQ(:path)% %REQ(:authority)% %RESPONSE_CODE%\n";

const TAGS: [(&str, &str); 5] = [
    ("operation", "%FILTER_STATE(wasm.operation:PLAIN)%"),
    ("host", "%FILTER_STATE(wasm.host:PLAIN)%"),
    ("late_operation", "%FILTER_STATE(wasm.late_operation:PLAIN)%"),
    ("by_cel", "%CEL(filter_state['wasm.operation'])%"),
    ("now", "%REQ(:path)%"),
];

/// Tells later filters and the application the operation, which no client may name.
fn as_header() -> Value {
    let operation =
        json!({ "key": "x-operation", "value": "%FILTER_STATE(wasm.operation:PLAIN)%" });
    filter(
        "header_mutation.v3.HeaderMutation",
        json!({ "mutations": { "request_mutations": [
            { "remove": "x-operation" },
            { "append": { "header": operation, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD" } },
        ] } }),
    )
}

/// Denies what `permission` and `principal` fit.
fn deny(permission: &Value, principal: &Value) -> Value {
    let policy = json!({ "permissions": [permission], "principals": [principal] });
    filter("rbac.v3.RBAC", json!({ "rules": { "action": "DENY", "policies": { "deny": policy } } }))
}

/// Changes what the router and everything behind it see.
fn lua() -> Value {
    let code = "function envoy_on_request(handle)
        local headers = handle:headers()
        headers:replace(':path', '/lua' .. headers:get(':path'))
        headers:replace(':authority', 'lua.example')
    end";
    filter("lua.v3.Lua", json!({ "default_source_code": { "inline_string": code } }))
}

fn labels<'a>(scrape: &'a Scrape, names: &[&str]) -> Vec<Vec<&'a str>> {
    let all = scrape.all("istio_requests_total").into_iter();
    all.map(|series| names.iter().map(|name| series.labels[*name].as_str()).collect()).collect()
}

/// Log, labels, spans of both sides, headers: a later filter and the route have both changed path and host.
#[tokio::test]
async fn an_operation_is_that_of_the_request_as_the_client_sent_it() {
    let Some((envoy, collector)) = with_collector().await else { return };
    let app = App::start(&[]).await.unwrap();
    let mut entry = Entry::new("entry", vec![opmeter(CONFIG), as_header(), lua()]);
    entry.routes = json!([
        { "match": { "prefix": "/lua/items" },
          "route": { "cluster": "app", "prefix_rewrite": "/internal/items", "host_rewrite_literal": "inner.example" } },
        { "match": { "prefix": "/" },
          "route": { "cluster": "app", "host_rewrite_literal": "inner.example",
            "regex_rewrite": { "pattern": { "regex": "^/lua/(.*)$" }, "substitution": "/internal/\\1" } } },
    ]);
    entry.routes[0]["request_headers_to_add"] = json!([
        { "header": { "key": "x-route-operation", "value": "%FILTER_STATE(wasm.operation:PLAIN)%" } }
    ]);
    entry.access_log = Some(LOG);
    let formatted = has_formatted_tags(&envoy);
    let header = json!({ "tag": "by_header", "request_header": { "name": "x-operation" } });
    let formats = TAGS.iter().map(|(tag, value)| json!({ "tag": tag, "value": value }));
    entry.tags = formats.filter(|_| formatted).chain([header]).collect();
    let chain = Chain {
        listeners: vec![entry],
        dimensions: DIMENSIONS.map(str::to_owned).to_vec(),
        upstream: app.port,
        collector: Some(collector.port),
    };
    let proxy = chain.start(&envoy).await.unwrap();

    let sent = get("/items/7?token=1", &[("x-operation", "forged")]);
    assert_eq!(http::call(proxy.traffic_port, sent).await.unwrap().status(), 200);
    let sent = get("/audit", &[("x-operation", "forged")]);
    assert_eq!(http::call(proxy.traffic_port, sent).await.unwrap().status(), 200);
    let sent = get("/unknown", &[("x-operation", "forged")]);
    assert_eq!(http::call(proxy.traffic_port, sent).await.unwrap().status(), 200);

    // Both rewrites took place.
    let targets = ["/internal/items/7?token=1", "/internal/audit", "/internal/unknown"];
    assert_eq!(app.targets(), targets);
    let requests = app.requests();
    for headers in &requests {
        assert_eq!(headers["host"], "inner.example");
    }
    let header = |request: usize, name: &str| {
        let values = requests[request].get_all(name).iter();
        values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(header(0, "x-operation"), ["get_item"]);
    assert_eq!(header(0, "x-route-operation"), ["get_item"]);
    assert_eq!(header(1, "x-operation"), ["audit"]);
    assert_eq!(header(2, "x-operation"), [""; 0]);

    let log = proxy.access_log(3).await.unwrap();
    let expected = [
        "get_item shop rewritten rewritten /internal/items/7?token=1 inner.example 200",
        "audit shop rewritten rewritten /internal/audit inner.example 200",
        "- shop rewritten rewritten /internal/unknown inner.example 200",
    ];
    assert_eq!(log, expected);

    let scrape = Scrape::when(&proxy, "istio_requests_total", 3.0).await.unwrap();
    let mut found = labels(&scrape, &DIMENSIONS);
    found.sort();
    let expected = [
        ["audit", "shop", "rewritten", "rewritten", "/internal/audit", "audit"],
        ["get_item", "shop", "rewritten", "rewritten", "/internal/items/7?token=1", "get_item"],
        ["unknown", "shop", "rewritten", "rewritten", "/internal/unknown", "unknown"],
    ];
    assert_eq!(found, expected);

    let backend = &collector.backend;
    let tagged = |operation: &'static str| {
        move |span: &support::otlp::Span| {
            span.attributes.get("by_header").is_some_and(|value| value == operation)
        }
    };
    for (operation, path) in [("get_item", targets[0]), ("audit", targets[1])] {
        // That of the client's request, and that of the request to the application.
        for span in backend.spans(2, tagged(operation)).await.unwrap() {
            // Documented: a span ends before the attributes of the end exist.
            assert_eq!(span.attributes.get("late_operation"), None);
            if !formatted {
                continue;
            }
            assert_eq!(span.attributes["operation"], operation);
            assert_eq!(span.attributes["by_cel"], operation);
            assert_eq!(span.attributes["host"], "shop");
            assert_eq!(span.attributes["now"], path);
        }
    }
    if !formatted {
        return;
    }
    let unknown = |span: &support::otlp::Span| {
        span.attributes.get("now").is_some_and(|path| path == targets[2])
    };
    for span in backend.spans(2, unknown).await.unwrap() {
        assert_eq!(span.attributes.get("operation"), None);
        assert_eq!(span.attributes.get("by_header"), None);
        assert_eq!(span.attributes["host"], "shop");
    }
}

/// Filters behind the module decide by the operation: by its header, by filter state, by CEL, by a matcher.
#[tokio::test]
async fn later_filters_decide_by_the_operation() {
    let Some(envoy) = crate::real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let any = json!({ "any": true });
    let exact = |value: &str| json!({ "exact": value });
    let header = json!({ "name": "x-operation", "string_match": exact("audit") });
    let by_header = deny(&json!({ "header": header }), &any);
    let state = json!({ "key": "wasm.operation", "string_match": exact("drop_item") });
    let by_state = deny(&any, &json!({ "filter_state": state }));
    let mut by_cel = deny(&any, &any);
    by_cel["typed_config"]["rules"]["policies"]["deny"]["condition"] = is_operation("secret");
    let mut entry = Entry::new(
        "entry",
        vec![opmeter(CONFIG), as_header(), by_header, by_state, by_cel, by_matcher(), lua()],
    );
    entry.access_log = Some("%FILTER_STATE(wasm.operation:PLAIN)% %RESPONSE_CODE%\n");
    let chain = Chain {
        listeners: vec![entry],
        dimensions: DIMENSIONS.map(str::to_owned).to_vec(),
        upstream: app.port,
        collector: None,
    };
    let proxy = chain.start(&envoy).await.unwrap();
    let cases = [
        ("GET", "/items/7", 200, "get_item"),
        ("GET", "/audit", 403, "audit"),
        ("DELETE", "/items/7", 403, "drop_item"),
        ("GET", "/secret", 403, "secret"),
        ("GET", "/slow", 503, "slow"),
        ("GET", "/other", 200, "-"),
    ];
    for (method, target, status, _) in cases {
        let mut sent = get(target, &[("x-operation", "get_item")]);
        *sent.method_mut() = method.parse().unwrap();
        let answer = http::call(proxy.traffic_port, sent).await.unwrap();
        assert_eq!(answer.status(), status, "{method} {target}");
    }
    assert_eq!(app.targets(), ["/lua/items/7", "/lua/other"]);
    let expected: Vec<String> =
        cases.iter().map(|(_, _, status, operation)| format!("{operation} {status}")).collect();
    assert_eq!(proxy.access_log(cases.len()).await.unwrap(), expected);
    let scrape = Scrape::when(&proxy, "istio_requests_total", 6.0).await.unwrap();
    let mut found = labels(&scrape, &["operation", "response_code"]);
    found.sort();
    let expected = [
        ["audit", "403"],
        ["drop_item", "403"],
        ["get_item", "200"],
        ["secret", "403"],
        ["slow", "503"],
        ["unknown", "200"],
    ];
    assert_eq!(found, expected);
}

/// `filter_state['wasm.operation'] == VALUE`, parsed.
fn is_operation(value: &str) -> Value {
    let text = |text: &str| json!({ "const_expr": { "string_value": text } });
    let call = |function: &str, args: Value| json!({ "call_expr": { "function": function, "args": args } });
    let state = json!({ "ident_expr": { "name": "filter_state" } });
    call("_==_", json!([call("_[_]", json!([state, text("wasm.operation")])), text(value)]))
}

/// A filter that answers 503, skipped for all operations but `slow`.
fn by_matcher() -> Value {
    let percentage = json!({ "numerator": 100 });
    let abort = json!({ "http_status": 503, "percentage": percentage });
    let input =
        "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.FilterStateInput";
    let skip = "type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3.SkipFilter";
    let is_slow = json!({ "single_predicate": {
        "input": { "name": "operation", "typed_config": { "@type": input, "key": "wasm.operation" } },
        "value_match": { "exact": "slow" },
    } });
    let skip = json!({ "action": { "name": "skip", "typed_config": { "@type": skip } } });
    let extension = "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher";
    json!({ "name": "by-matcher", "typed_config": {
        "@type": extension,
        "extension_config": filter("fault.v3.HTTPFault", json!({ "abort": abort })),
        "xds_matcher": { "matcher_list": { "matchers": [
            { "predicate": { "not_matcher": is_slow }, "on_match": skip },
        ] } },
    } })
}
