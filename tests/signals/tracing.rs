//! Traces: the module leaves trace headers alone, and what it derives is a tag of Envoy's spans.

use crate::{get, has_formatted_tags, real_envoy, with_collector};
use serde_json::json;
use std::collections::BTreeMap;
use support::app::App;
use support::chain::{Chain, Entry, opmeter};
use support::envoy::Envoy;
use support::http;
use support::otlp::Span;

/// What callers send to go on with a trace.
const W3C: [(&str, &str); 3] = [
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    ("baggage", "userId=Am%C3%A9lie,serverNode=DF:28;property=1"),
];
const B3: [(&str, &str); 6] = [
    ("x-b3-traceid", "463ac35c9f6413ad48485a3953bb6124"),
    ("x-b3-spanid", "a2fb4a1d1a96d312"),
    ("x-b3-parentspanid", "0020000000000001"),
    ("x-b3-sampled", "1"),
    ("x-b3-flags", "1"),
    ("x-ot-span-context", "an;opaque;value"),
];
const B3_SINGLE: [(&str, &str); 1] =
    [("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90")];

/// Everything the module can do to headers.
const CONFIG: &str = r#"{
    "metadata_exchange": {},
    "attributes": [
        {"output_attribute": "operation", "phase": "ON_REQUEST",
         "operations": [{"value": "get_item", "path": "/items/{id}"}]}]
}"#;

/// Two listeners of one Envoy, with the module and without.
async fn with_and_without(binary: &std::path::Path, app: &App, collector: Option<u16>) -> Envoy {
    let mut with = Entry::new("entry", vec![opmeter(CONFIG)]);
    if has_formatted_tags(binary) {
        let value = "%FILTER_STATE(wasm.operation:PLAIN)%";
        with.tags = vec![json!({ "tag": "operation", "value": value })];
    }
    let listeners = vec![with, Entry::new("without", Vec::new())];
    let chain = Chain { listeners, dimensions: Vec::new(), upstream: app.port, collector };
    chain.start(binary).await.unwrap()
}

type Headers = BTreeMap<String, Vec<String>>;

/// The headers of the application's latest request, but for those that differ from request to request.
fn arrived(app: &App) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in app.requests().last().expect("a request") {
        let value = value.to_str().expect("text").to_owned();
        headers.entry(name.to_string()).or_default().push(value);
    }
    headers.remove("x-request-id").expect("Envoy's own id");
    headers
}

#[tokio::test]
async fn trace_headers_pass_untouched() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = with_and_without(&envoy, &app, None).await;
    let without = proxy.port_of("without").await.unwrap();
    let all = [&W3C[..], &B3, &B3_SINGLE].concat();
    for sent in [&W3C[..], &B3, &B3_SINGLE, &all, &[]] {
        http::call(proxy.traffic_port, get("/items/7", sent)).await.unwrap();
        let with = arrived(&app);
        http::call(without, get("/items/7", sent)).await.unwrap();
        assert_eq!(with, arrived(&app), "{sent:?}");
        for (name, value) in sent {
            assert_eq!(with[*name], [*value]);
        }
    }
}

/// With a tracer Envoy writes `traceparent` itself: of the same trace, with its own span. The rest passes.
#[tokio::test]
async fn a_traced_request_has_the_same_headers_with_the_module() {
    let Some((envoy, collector)) = with_collector().await else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = with_and_without(&envoy, &app, Some(collector.port)).await;
    let without = proxy.port_of("without").await.unwrap();
    let all = [&W3C[..], &B3, &B3_SINGLE].concat();
    http::call(proxy.traffic_port, get("/items/7", &all)).await.unwrap();
    let mut with = arrived(&app);
    http::call(without, get("/items/7", &all)).await.unwrap();
    let mut bare = arrived(&app);
    let parents = [&mut with, &mut bare].map(|headers| headers.remove("traceparent").unwrap());
    assert_eq!(with, bare);
    for (name, value) in all.iter().filter(|(name, _)| *name != "traceparent") {
        assert_eq!(with[*name], [*value]);
    }
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let spans = collector.backend.spans(4, |span| span.trace == trace).await.unwrap();
    for parent in parents {
        let [parent] = parent.as_slice() else { panic!("{parent:?}") };
        let id = parent.strip_prefix(&format!("00-{trace}-")).unwrap().strip_suffix("-01").unwrap();
        // The span towards the application, its parent of the client's request, and the caller's.
        let upstream = spans.iter().find(|span| span.id == id).expect("a span of the header's id");
        let downstream = spans.iter().find(|span| span.id == upstream.parent).expect("its parent");
        assert_eq!(downstream.parent, "b7ad6b7169203331");
    }
    let tagged = |span: &&Span| span.attributes.contains_key("operation");
    let tags: Vec<_> = spans.iter().filter(tagged).map(|s| &s.attributes["operation"]).collect();
    if has_formatted_tags(&envoy) {
        assert_eq!(tags, ["get_item", "get_item"]);
    }
}

/// `envoy/tracing-otlp.yaml` does what it says.
#[tokio::test]
async fn the_example_traces_operations() {
    let Some((envoy, collector)) = with_collector().await else { return };
    let app = App::start(&[]).await.unwrap();
    let moved = [(4317, collector.port)];
    let proxy = Envoy::shipped(&envoy, "tracing-otlp.yaml", None, app.port, &moved).await.unwrap();
    let sent = [W3C[0], B3_SINGLE[0], ("x-istio-operation", "forged")];
    let cases = [("/ratings/items/7?x=1", 200), ("/debug/pprof", 403), ("/ratings/", 200)];
    for (target, status) in cases {
        let answer = http::call(proxy.traffic_port, get(target, &sent)).await.unwrap();
        assert_eq!(answer.status(), status, "{target}");
    }
    assert_eq!(app.targets(), ["/items/7?x=1", "/"]);
    let requests = app.requests();
    assert_eq!(requests[0]["x-istio-operation"], "get_item");
    assert_eq!(requests[0]["b3"], B3_SINGLE[0].1);
    assert!(!requests[1].contains_key("x-istio-operation"), "{:?}", requests[1]);

    let trace = "0af7651916cd43dd8448eb211c80319c";
    let expected = [
        format!("GET /ratings/items/7?x=1 get_item 200 {trace}"),
        format!("GET /debug/pprof debug 403 {trace}"),
        format!("GET /ratings/ - 200 {trace}"),
    ];
    assert_eq!(proxy.access_log(3).await.unwrap(), expected);

    let spans = collector.backend.spans(3, |span| span.trace == trace).await.unwrap();
    let mut tags: Vec<_> = spans
        .iter()
        .map(|span| {
            (span.attributes.get("istio.operation").map(String::as_str), span.parent.as_str())
        })
        .collect();
    tags.sort_unstable();
    let parent = "b7ad6b7169203331";
    assert_eq!(tags, [(None, parent), (Some("debug"), parent), (Some("get_item"), parent)]);
}
