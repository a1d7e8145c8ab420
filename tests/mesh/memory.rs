//! Memory that distinct peers take.

use crate::labels::{request, with, without_source};
use crate::real_envoy;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::ops::Range;
use support::app::App;
use support::envoy::Envoy;
use support::mesh::{Sidecar, metadata};
use support::scrape::Scrape;
use tokio::net::TcpStream;

/// Size of each peer's metadata, as of a whole node with many labels.
const PEER_BYTES: usize = 6 * 1024;
/// How far the second to third thousand may raise what the process holds. Kept in memory they would take 16 MiB.
const GROWTH_KIB: u64 = 3 * 1024;

/// Peers that differ in their names, which are no label: one series, however many there are.
async fn send(client: &mut SendRequest<Full<Bytes>>, peers: Range<usize>) {
    for peer in peers {
        let padding = "p".repeat(PEER_BYTES);
        let name = format!("pod-{peer}");
        let metadata =
            metadata(&[("NAME", &name), ("INSTANCE_IPS", &padding), ("WORKLOAD_NAME", "w")]);
        let request = Request::get("/items")
            .header("host", "ratings")
            .header("x-envoy-peer-metadata-id", format!("sidecar~{peer}"))
            .header("x-envoy-peer-metadata", metadata)
            .body(Full::default())
            .expect("a request");
        let response = client.send_request(request).await.expect("a response");
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.expect("a body");
    }
}

/// Memory that the process holds, in KiB.
fn resident(envoy: &Envoy) -> u64 {
    envoy.memory_kib("VmRSS").expect("a Linux")
}

#[tokio::test]
async fn thousands_of_peers_leave_memory_flat() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = Sidecar::ratings(app.port).start(&envoy).await.unwrap();
    let stream = TcpStream::connect(("127.0.0.1", proxy.traffic_port)).await.unwrap();
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    send(&mut client, 0..1000).await;
    let before = resident(&proxy);
    send(&mut client, 1000..3000).await;
    let growth = resident(&proxy).saturating_sub(before);
    println!("{before} KiB, then {growth} KiB more");
    assert!(growth < GROWTH_KIB, "{before} KiB grew by {growth} KiB");
    let scrape = Scrape::when(&proxy, "istio_requests_total", 3000.0).await.unwrap();
    let expected = with(&without_source(&request("destination")), &[("source_workload", "w")]);
    assert_eq!(scrape.labels("istio_requests_total"), &expected);
    assert_eq!(scrape.total("opmeter_peer_decode_errors_total"), 0.0);
}
