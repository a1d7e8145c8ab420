//! Metadata exchange by headers: the labels it gives, and who gets to see the headers.

use crate::labels::{request, with, without_destination, without_source};
use crate::real_envoy;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use std::collections::BTreeMap;
use support::app::App;
use support::case::Side;
use support::http;
use support::mesh::{Pair, Sidecar};
use support::scrape::Scrape;

const ID: &str = "x-envoy-peer-metadata-id";
const METADATA: &str = "x-envoy-peer-metadata";

const PRODUCTPAGE_ID: &str = "sidecar~127.0.0.1~productpage-v1-0.default~default.svc.cluster.local";
const RATINGS_ID: &str = "sidecar~127.0.0.1~ratings-v1-0.shop~shop.svc.cluster.local";

/// What a sidecar of current Istio sends for productpage's node: `google.protobuf.Struct`, keys in order, in base64.
const PRODUCTPAGE: &str = "\
    Ch4KCkNMVVNURVJfSUQSEBoOY2xpZW50LWNsdXN0ZXIKnAEKBkxBQkVMUxKRASqOAQoUCgNhcHASDRoLcHJvZHVjdHBhZ2UKOAofc2VydmljZS\
    5pc3Rpby5pby9jYW5vbmljYWwtbmFtZRIVGhNwcm9kdWN0cGFnZS1zZXJ2aWNlCisKI3NlcnZpY2UuaXN0aW8uaW8vY2Fub25pY2FsLXJldmlz\
    aW9uEgQaAnIxCg8KB3ZlcnNpb24SBBoCdjEKGgoETkFNRRISGhBwcm9kdWN0cGFnZS12MS0wChYKCU5BTUVTUEFDRRIJGgdkZWZhdWx0ClIKBU\
    9XTkVSEkkaR2t1YmVybmV0ZXM6Ly9hcGlzL2FwcHMvdjEvbmFtZXNwYWNlcy9kZWZhdWx0L2RlcGxveW1lbnRzL3Byb2R1Y3RwYWdlLXYxCiEK\
    DVdPUktMT0FEX05BTUUSEBoOcHJvZHVjdHBhZ2UtdjE=";

/// A node with everything, compact.
const COMPACT: &str = "\
    ChkKEUFWQUlMQUJJTElUWV9aT05FEgQaAnoxChIKCkNMVVNURVJfSUQSBBoCYzEKJAoISURFTlRJVFkSGBoWc3BpZmZlOi8vdGQvbnMvbnMvc2\
    EvcwqLAQoGTEFCRUxTEoABKn4KCgoDYXBwEgMaAWEKCgoEcm9sZRICGgAKJgofc2VydmljZS5pc3Rpby5pby9jYW5vbmljYWwtbmFtZRIDGgFz\
    CisKI3NlcnZpY2UuaXN0aW8uaW8vY2Fub25pY2FsLXJldmlzaW9uEgQaAnYxCg8KB3ZlcnNpb24SBBoCdjEKDQoETkFNRRIFGgNwLTEKEQoJTk\
    FNRVNQQUNFEgQaAm5zCkAKBU9XTkVSEjcaNWt1YmVybmV0ZXM6Ly9hcGlzL2FwcHMvdjEvbmFtZXNwYWNlcy9ucy9kZXBsb3ltZW50cy93Cg4K\
    BlJFR0lPThIEGgJyMQoUCg1XT1JLTE9BRF9OQU1FEgMaAXc=";

/// A whole node, keys in order.
const FULL_SORTED: &str = "\
    ChoKDkFQUF9DT05UQUlORVJTEggaBndlYixkYgoaCgpDTFVTVEVSX0lEEgwaCkt1YmVybmV0ZXMKIgoMSU5TVEFOQ0VfSVBTEhIaEDEwLjAuMC\
    43LGZlODA6OjEKGAoNSVNUSU9fVkVSU0lPThIHGgUxLjkuMAqbAQoGTEFCRUxTEpABKo0BCgoKA2FwcBIDGgFhChkKEXBvZC10ZW1wbGF0ZS1o\
    YXNoEgQaAjVkCiYKH3NlcnZpY2UuaXN0aW8uaW8vY2Fub25pY2FsLW5hbWUSAxoBcworCiNzZXJ2aWNlLmlzdGlvLmlvL2Nhbm9uaWNhbC1yZX\
    Zpc2lvbhIEGgJ2MQoPCgd2ZXJzaW9uEgQaAnYxCg4KB01FU0hfSUQSAxoBbQoNCgROQU1FEgUaA3AtMQoRCglOQU1FU1BBQ0USBBoCbnMKQAoF\
    T1dORVISNxo1a3ViZXJuZXRlczovL2FwaXMvYXBwcy92MS9uYW1lc3BhY2VzL25zL2RlcGxveW1lbnRzL3cKKwoRUExBVEZPUk1fTUVUQURBVE\
    ESFioUChIKC2djcF9wcm9qZWN0EgMaAXgKFAoNV09SS0xPQURfTkFNRRIDGgF3";

/// A whole node as a hash map leaves it, with values of every kind and no canonical labels.
const FULL_UNSORTED: &str = "\
    ChQKDVdPUktMT0FEX05BTUUSAxoBdwoLCgVERUJVRxICIAEKEQoERVhJVBIJEQAAAAAAAERACgoKBE5PTkUSAggACg4KA0lQUxIHMgUKAxoBeA\
    o4CgZMQUJFTFMSLiosCh4KFmFwcC5rdWJlcm5ldGVzLmlvL25hbWUSBBoCcWEKCgoDYXBwEgMaAWEKOgoFT1dORVISMRova3ViZXJuZXRlczov\
    L2FwaXMvYmF0Y2gvdjEvbmFtZXNwYWNlcy9ucy9qb2JzL3c=";

fn get(headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let request = Request::get("/items").header("host", "ratings:9080");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Full::default()).expect("a request")
}

/// The exchange headers among others, with their values.
fn exchanged(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-envoy-peer-metadata"))
        .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
        .collect()
}

#[tokio::test]
async fn both_sidecars_tell_all_of_both_workloads() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let pair = Pair::plain(&envoy, app.port).await.unwrap();
    for _ in 0..3 {
        let response = http::call(pair.client.traffic_port, get(&[])).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(exchanged(response.headers()), BTreeMap::new());
    }
    for headers in app.requests() {
        assert_eq!(exchanged(&headers), BTreeMap::new());
    }
    for (proxy, reporter) in [(&pair.client, "source"), (&pair.server, "destination")] {
        let scrape = Scrape::when(proxy, "istio_requests_total", 3.0).await.unwrap();
        assert_eq!(scrape.labels("istio_requests_total"), &request(reporter));
        assert_eq!(scrape.total("opmeter_peer_decode_errors_total"), 0.0);
    }
}

/// A workload that sends the headers itself neither speaks for its sidecar nor learns what that hears.
#[tokio::test]
async fn a_workload_cannot_speak_for_its_sidecar() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[(ID, b"forged"), (METADATA, b"CgA=")]).await.unwrap();
    let pair = Pair::plain(&envoy, app.port).await.unwrap();
    let forged = [(ID, "forged"), (METADATA, "CgwKBkxBQkVMUxICKgAKEQoJTkFNRVNQQUNFEgQaAm5z")];
    let response = http::call(pair.client.traffic_port, get(&forged)).await.unwrap();
    assert_eq!(exchanged(response.headers()), BTreeMap::new());
    for (proxy, reporter) in [(&pair.client, "source"), (&pair.server, "destination")] {
        let scrape = Scrape::when(proxy, "istio_requests_total", 1.0).await.unwrap();
        assert_eq!(scrape.labels("istio_requests_total"), &request(reporter));
    }
}

#[tokio::test]
async fn a_client_sidecar_sends_what_istio_would() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = Sidecar::productpage(app.port).start(&envoy).await.unwrap();
    http::call(proxy.traffic_port, get(&[])).await.unwrap();
    let sent = exchanged(&app.requests()[0]);
    assert_eq!(sent[METADATA], PRODUCTPAGE);
    assert_eq!(sent[ID], PRODUCTPAGE_ID);
    let scrape = Scrape::when(&proxy, "istio_requests_total", 1.0).await.unwrap();
    let told = without_destination(&request("source"));
    assert_eq!(scrape.labels("istio_requests_total"), &told);
}

#[tokio::test]
async fn a_server_sidecar_answers_what_was_asked() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = Sidecar::ratings(app.port).start(&envoy).await.unwrap();
    let id = (ID, PRODUCTPAGE_ID);
    let metadata = (METADATA, PRODUCTPAGE);
    let cases = [
        (&[][..], &[][..]),
        (&[id], &[ID]),
        (&[metadata], &[METADATA]),
        (&[id, metadata], &[METADATA, ID]),
        (&[(ID, ""), (METADATA, "")], &[]),
        (&[(ID, ""), metadata], &[METADATA]),
    ];
    for (sent, expected) in cases {
        let response = http::call(proxy.traffic_port, get(sent)).await.unwrap();
        let answered = exchanged(response.headers());
        assert_eq!(answered.keys().collect::<Vec<_>>(), expected, "{sent:?}");
        assert!(answered.get(ID).is_none_or(|id| id == RATINGS_ID), "{answered:?}");
    }
    for headers in app.requests() {
        assert_eq!(exchanged(&headers), BTreeMap::new());
    }
    let scrape = Scrape::when(&proxy, "istio_requests_total", 6.0).await.unwrap();
    let known = request("destination");
    let found: Vec<_> = scrape.all("istio_requests_total");
    let count = |labels| found.iter().find(|s| s.labels == labels).map(|s| s.value);
    assert_eq!(count(known.clone()), Some(3.0), "{found:#?}");
    assert_eq!(count(without_source(&known)), Some(3.0), "{found:#?}");
}

/// Newer sidecars send the compact encoding, older ones their whole node; padding may be missing.
#[tokio::test]
async fn sidecars_of_either_encoding_are_understood() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = Sidecar::ratings(app.port).start(&envoy).await.unwrap();
    for metadata in [COMPACT, FULL_SORTED, FULL_UNSORTED, FULL_UNSORTED.trim_end_matches('=')] {
        let sent = [(ID, "sidecar~10.0.0.7~p-1.ns~ns.svc.cluster.local"), (METADATA, metadata)];
        assert_eq!(http::call(proxy.traffic_port, get(&sent)).await.unwrap().status(), 200);
    }
    let scrape = Scrape::when(&proxy, "istio_requests_total", 4.0).await.unwrap();
    let known = [
        ("source_workload", "w"),
        ("source_workload_namespace", "ns"),
        ("source_canonical_service", "s"),
        ("source_canonical_revision", "v1"),
        ("source_app", "a"),
        ("source_version", "v1"),
    ];
    let sorted = with(&request("destination"), &known);
    // Without canonical labels, and the app under its qualified name.
    let some = [("source_workload", "w"), ("source_app", "qa")];
    let unsorted = with(&without_source(&request("destination")), &some);
    let expected = [
        (with(&sorted, &[("source_cluster", "c1")]), 1.0),
        (with(&sorted, &[("source_cluster", "Kubernetes")]), 1.0),
        (unsorted, 2.0),
    ];
    let found = scrape.all("istio_requests_total");
    for (labels, count) in expected {
        let series = found.iter().find(|series| series.labels == labels);
        assert_eq!(series.map(|s| s.value), Some(count), "{labels:#?} in {found:#?}");
    }
    assert_eq!(scrape.total("opmeter_peer_decode_errors_total"), 0.0);
}

/// A gateway is a server to its client and a client to its server, and lets neither see the other.
#[tokio::test]
async fn a_gateway_keeps_both_sides_apart() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let server = Sidecar::ratings(app.port).start(&envoy).await.unwrap();
    let mut gateway = Sidecar::productpage(server.traffic_port);
    gateway.side = Side::Gateway;
    let gateway = gateway.start(&envoy).await.unwrap();
    let response = http::call(gateway.traffic_port, get(&[(ID, "a"), (METADATA, COMPACT)]));
    let answered = exchanged(response.await.unwrap().headers());
    assert_eq!(answered[ID], PRODUCTPAGE_ID);
    assert_eq!(answered[METADATA], PRODUCTPAGE);
    let response = http::call(gateway.traffic_port, get(&[])).await.unwrap();
    assert_eq!(exchanged(response.headers()), BTreeMap::new());
    for (proxy, reporter) in [(&gateway, "source"), (&server, "destination")] {
        let scrape = Scrape::when(proxy, "istio_requests_total", 2.0).await.unwrap();
        assert_eq!(scrape.labels("istio_requests_total"), &request(reporter));
    }
}

/// Nothing is sent out of the mesh if so configured, and an answer from there is still read.
#[tokio::test]
async fn nothing_is_told_outside_the_mesh_if_so_configured() {
    let Some(envoy) = real_envoy() else { return };
    for (config, key, sent) in [
        (r#"{"metadata_exchange":{"skip_external":true}}"#, "external", false),
        (r#"{"metadata_exchange":{}}"#, "external", true),
        (r#"{"metadata_exchange":{}}"#, "disable_mx", false),
        ("{}", "none", false),
    ] {
        let app = App::start(&[(METADATA, COMPACT.as_bytes())]).await.unwrap();
        let mut client = Sidecar::productpage(app.port);
        client.config = config.to_owned();
        client.istio_metadata[key] = true.into();
        let proxy = client.start(&envoy).await.unwrap();
        let response = http::call(proxy.traffic_port, get(&[])).await.unwrap();
        assert_eq!(exchanged(&app.requests()[0]).len(), if sent { 2 } else { 0 }, "{config}");
        let exchanges = config != "{}";
        assert_eq!(exchanged(response.headers()).is_empty(), exchanges, "{config}");
        let scrape = Scrape::when(&proxy, "istio_requests_total", 1.0).await.unwrap();
        let workload = &scrape.labels("istio_requests_total")["destination_workload"];
        assert_eq!(workload, if exchanges { "w" } else { "unknown" }, "{config}");
    }
}

/// Pod labels beyond the standard ones travel if the sender names them.
#[tokio::test]
async fn additional_labels_become_dimensions() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let mut client = Sidecar::productpage(0);
    client.node["metadata"]["LABELS"]["role"] = "canary".into();
    client.config = r#"{"metadata_exchange":{"additional_labels":["role"]}}"#.to_owned();
    let mut server = Sidecar::ratings(app.port);
    server.config = r#"{
        "metadata_exchange": { "additional_labels": ["role"] },
        "metrics": [{ "dimensions": { "role": "filter_state.downstream_peer.labels['role']" } }]
    }"#
    .to_owned();
    server.dimensions = vec!["role".to_owned()];
    let pair = Pair::start(&envoy, client, &server).await.unwrap();
    http::call(pair.client.traffic_port, get(&[])).await.unwrap();
    let scrape = Scrape::when(&pair.server, "istio_requests_total", 1.0).await.unwrap();
    let expected = with(&request("destination"), &[("role", "canary")]);
    assert_eq!(scrape.labels("istio_requests_total"), &expected);
}
