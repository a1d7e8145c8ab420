//! Whatever a client puts into the exchange headers, its request is served and the proxy goes on.

use crate::labels::{request, with, without_destination, without_source};
use crate::real_envoy;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::Request;
use prost::Message;
use prost_types::Struct;
use support::app::App;
use support::http;
use support::mesh::{Sidecar, metadata};
use support::scrape::Scrape;

/// Longest header that is decoded.
const LIMIT: usize = 16 * 1024;

/// A request with both exchange headers as they are, on a connection that ends with it.
fn message(id: &[u8], metadata: &[u8]) -> Vec<u8> {
    [
        b"GET /items HTTP/1.1\r\nhost: ratings\r\nconnection: close\r\nx-envoy-peer-metadata-id: ",
        id,
        b"\r\nx-envoy-peer-metadata: ",
        metadata,
        b"\r\n\r\n",
    ]
    .concat()
}

/// Header values that tell nothing, each in its own way.
fn unreadable() -> Vec<Vec<u8>> {
    let good = metadata(&[("NAME", "pod"), ("WORKLOAD_NAME", "evil")]);
    let message = STANDARD.decode(&good).expect("base64");
    let cut = (1..message.len()).map(|end| STANDARD.encode(&message[..end]).into_bytes());
    // Cut between its two entries the rest is a Struct of one.
    let cut = cut.filter(|header| Struct::decode(&*STANDARD.decode(header).unwrap()).is_err());
    let mut values: Vec<Vec<u8>> = cut.step_by(5).collect();
    values.extend([
        b"\xa1\xb1".to_vec(),
        vec![0xff; 300],
        b"%%%% not base64".to_vec(),
        b"a".to_vec(),
        // What is left of two headers of one name.
        [&good[..], b",", &good[..]].concat(),
        // A string that is not UTF-8.
        STANDARD.encode(b"\x0a\x0b\x0a\x04NAME\x12\x03\x1a\x01\xff").into_bytes(),
        // A group, which proto3 does not have.
        STANDARD.encode(b"\x0b\x0c").into_bytes(),
        // A length beyond what there is, and one beyond 64 bits.
        STANDARD.encode(b"\x0a\xff\xff\xff\xff\x0f").into_bytes(),
        STANDARD.encode([0xff; 40]).into_bytes(),
        // Longer than is decoded, well formed or not.
        metadata(&[("NAME", &"p".repeat(15_000))]),
        vec![b'A'; LIMIT + 4],
    ]);
    values
}

#[tokio::test]
async fn unreadable_metadata_of_a_client_costs_its_labels_and_nothing_else() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = Sidecar::ratings(app.port).start(&envoy).await.unwrap();
    let values = unreadable();
    for value in &values {
        let shown = String::from_utf8_lossy(&value[..value.len().min(60)]);
        for id in [&b"sidecar~1"[..], b"\xa1\xb1"] {
            let answer = http::raw(proxy.traffic_port, &message(id, value)).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{shown}");
        }
    }
    let sent = 2.0 * values.len() as f64;
    assert!(sent > 30.0, "few values: {sent}");
    let scrape = Scrape::when(&proxy, "istio_requests_total", sent).await.unwrap();
    assert_eq!(scrape.labels("istio_requests_total"), &without_source(&request("destination")));
    assert_eq!(scrape.total("opmeter_peer_decode_errors_total"), sent);
    assert_eq!(scrape.total("opmeter_host_errors_total"), 0.0);
    for headers in app.requests() {
        assert!(headers.keys().all(|name| !name.as_str().starts_with("x-envoy-peer")));
    }
    // And the next client is understood.
    let good = metadata(&[("WORKLOAD_NAME", "reviews-v3")]);
    http::raw(proxy.traffic_port, &message(b"sidecar~1", &good)).await.unwrap();
    let scrape = Scrape::when(&proxy, "istio_requests_total", sent + 1.0).await.unwrap();
    let expected =
        with(&without_source(&request("destination")), &[("source_workload", "reviews-v3")]);
    let found = scrape.all("istio_requests_total");
    assert!(found.iter().any(|series| series.labels == expected), "{found:#?}");
}

#[tokio::test]
async fn unreadable_metadata_of_a_server_costs_its_labels_and_nothing_else() {
    let Some(envoy) = real_envoy() else { return };
    for value in [&b"\xa1\xb1"[..], b"%%%", &[b'A'; LIMIT + 4], b"CgA"] {
        let headers = [("x-envoy-peer-metadata", value), ("x-envoy-peer-metadata-id", b"\xa1")];
        let app = App::start(&headers).await.unwrap();
        let proxy = Sidecar::productpage(app.port).start(&envoy).await.unwrap();
        let request = Request::get("/items").header("host", "ratings").body(Full::default());
        let response = http::call(proxy.traffic_port, request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers().keys().all(|name| !name.as_str().starts_with("x-envoy-peer")));
        let scrape = Scrape::when(&proxy, "istio_requests_total", 1.0).await.unwrap();
        let expected = without_destination(&crate::labels::request("source"));
        assert_eq!(scrape.labels("istio_requests_total"), &expected);
        // `CgA` is a Struct with one entry that says nothing.
        let errors = if value == b"CgA" { 0.0 } else { 1.0 };
        assert_eq!(scrape.total("opmeter_peer_decode_errors_total"), errors);
    }
}

/// Properties that try to end their label, the stat name, the line of the scrape or the header.
#[tokio::test]
async fn what_a_peer_tells_of_itself_stays_in_its_label() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = Sidecar::ratings(app.port).start(&envoy).await.unwrap();
    // What is told and what becomes of it: separators are broken up, control characters are not passed on.
    let values = [
        (
            "w;.;reporter=.=source;.;istio_requests_total",
            "w_.;reporter_.=source_.;istio_requests_total",
        ),
        (
            "w\",reporter=\"source\"} 7\nistio_forged_total 1",
            "w\",reporter=\"source\"} 7_istio_forged_total 1",
        ),
        (
            "w\r\nx-injected: 1\r\n\r\nGET /forged HTTP/1.1\r\n\r\n",
            "w__x-injected: 1____GET /forged HTTP/1.1____",
        ),
        ("component.proxy.tag.9;.", "component.proxy.tag.9;"),
        ("\u{0}\u{1}\u{7f}", "___"),
        ("cluster.w.http.w", "cluster.w.http.w"),
        ("\\\\\"\\n", "\\\\\"\\n"),
        ("日本語 ☃", "日本語 ☃"),
    ];
    for (value, _) in values {
        let message = message(value_of_id(value), &metadata(&[("WORKLOAD_NAME", value)]));
        let answer = http::raw(proxy.traffic_port, &message).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 200 ok\r\n"), "{value:?}: {answer}");
        assert!(!answer.contains("injected") && !answer.contains("forged"), "{answer}");
    }
    let sent = values.len() as f64;
    let scrape = Scrape::when(&proxy, "istio_requests_total", sent).await.unwrap();
    assert_eq!(app.requests().len(), values.len());
    assert_eq!(scrape.total("istio_forged_total"), 0.0);
    let base = without_source(&request("destination"));
    let found = scrape.all("istio_requests_total");
    assert_eq!(found.len(), values.len());
    for (_, told) in values {
        let labels = with(&base, &[("source_workload", told)]);
        assert!(found.iter().any(|series| series.labels == labels), "{told:?} in {found:#?}");
    }
}

/// An id is a header value too: what can be one of the value.
fn value_of_id(value: &str) -> &[u8] {
    value.split(|c: char| c.is_ascii_control()).next().unwrap_or_default().as_bytes()
}

/// A request that Envoy itself refuses never reaches the module, and the proxy serves the next.
#[tokio::test]
async fn what_is_no_header_at_all_is_envoys_to_refuse() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = Sidecar::ratings(app.port).start(&envoy).await.unwrap();
    let good = metadata(&[("WORKLOAD_NAME", "evil")]);
    for value in [&b"a\0b"[..], b"a\n b: c\nd"] {
        let answer = http::raw(proxy.traffic_port, &message(value, &good)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{value:?}: {answer}");
    }
    let answer = http::raw(proxy.traffic_port, &message(b"id", b"")).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!(app.requests().len(), 1);
    // Istio counts what Envoy refuses as well: a protocol error, for no host and so for the workload's own service.
    let scrape = Scrape::when(&proxy, "istio_requests_total", 3.0).await.unwrap();
    let served = without_source(&request("destination"));
    let refused = [
        ("response_code", "400"),
        ("response_flags", "DPE"),
        ("destination_service", "ratings-service"),
        ("destination_service_name", "ratings-service"),
    ];
    let found = scrape.all("istio_requests_total");
    for (labels, count) in [(with(&served, &refused), 2.0), (served, 1.0)] {
        let series = found.iter().find(|series| series.labels == labels);
        assert_eq!(series.map(|s| s.value), Some(count), "{labels:#?} in {found:#?}");
    }
    assert_eq!(scrape.total("opmeter_peer_decode_errors_total"), 0.0);
}
