//! gRPC calls of every kind through both sidecars, to a real backend.

use crate::labels::{Labels, peers, request, with, without_destination, without_source};
use crate::real_envoy;
use std::path::Path;
use std::time::Duration;
use support::envoy::Envoy;
use support::grpc::{Backend, Client, Words};
use support::mesh::{Pair, Sidecar};
use support::scrape::Scrape;
use tokio::sync::mpsc;
use tonic::{Code, Request, Streaming};

const REQUESTS: &str = "istio_request_messages_total";
const RESPONSES: &str = "istio_response_messages_total";

fn words() -> Words {
    Words { text: "how is it".to_owned(), ..Words::default() }
}

/// Takes what is left of a stream: how many messages, and how it ended.
async fn rest(stream: &mut Streaming<Words>) -> (u32, Code) {
    let mut count = 0;
    loop {
        match stream.message().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => return (count, Code::Ok),
            Err(status) => return (count, status.code()),
        }
    }
}

async fn say(sender: &mpsc::Sender<Words>, answers: &mut Streaming<Words>, times: u32) {
    for _ in 0..times {
        sender.send(words()).await.unwrap();
        for _ in 0..2 {
            assert_eq!(answers.message().await.unwrap(), Some(words()));
        }
    }
}

fn reporters(pair: &Pair) -> [(&Envoy, &'static str); 2] {
    [(&pair.client, "source"), (&pair.server, "destination")]
}

/// Labels of a gRPC request with a status.
fn call(reporter: &str, status: &str) -> Labels {
    with(&request(reporter), &[("request_protocol", "grpc"), ("grpc_response_status", status)])
}

/// Both reporters have counted this many messages, and said who exchanged them and nothing else.
async fn expect_messages(pair: &Pair, requests: u32, responses: u32) {
    for (proxy, reporter) in reporters(pair) {
        for (metric, total) in [(REQUESTS, requests), (RESPONSES, responses)] {
            let scrape = Scrape::when(proxy, metric, total.into()).await.unwrap();
            assert_eq!(scrape.labels(metric), &peers(reporter), "{metric}");
        }
    }
}

/// Both reporters have counted one request with these labels.
async fn expect_call(pair: &Pair, status: &str, total: u32) {
    for (proxy, reporter) in reporters(pair) {
        let scrape = Scrape::when(proxy, "istio_requests_total", total.into()).await.unwrap();
        let found = scrape.all("istio_requests_total");
        let one = found.iter().find(|series| series.labels == call(reporter, status));
        assert_eq!(one.map(|series| series.value), Some(1.0), "{status} in {found:#?}");
        assert_eq!(scrape.total("opmeter_evaluation_errors_total"), 0.0);
        assert_eq!(scrape.total("opmeter_host_errors_total"), 0.0);
    }
}

async fn pair(envoy: &Path, backend: u16, interval: &str) -> Pair {
    let config = format!(r#"{{"metadata_exchange":{{}},"tcp_reporting_duration":"{interval}"}}"#);
    let mut client = Sidecar::productpage(0);
    let mut server = Sidecar::ratings(backend);
    client.config.clone_from(&config);
    server.config = config;
    Pair::start(envoy, client, &server).await.unwrap()
}

#[tokio::test]
async fn calls_of_every_kind_count_their_messages() {
    let Some(envoy) = real_envoy() else { return };
    let backend = Backend::start().await;
    let pair = pair(&envoy, backend.port, "600s").await;
    let mut client = Client::connect(pair.client.traffic_port).await.unwrap();
    assert_eq!(client.unary(Request::new(words())).await.unwrap(), words());
    expect_messages(&pair, 1, 1).await;
    assert_eq!(client.client_stream(vec![words(); 3]).await.unwrap().count, 3);
    expect_messages(&pair, 4, 2).await;
    let mut answers = client.server_stream(Words { count: 4, ..words() }).await.unwrap();
    assert_eq!(rest(&mut answers).await, (4, Code::Ok));
    expect_messages(&pair, 5, 6).await;
    let (sender, mut answers) = client.talk().await.unwrap();
    say(&sender, &mut answers, 3).await;
    drop(sender);
    assert_eq!(rest(&mut answers).await, (0, Code::Ok));
    expect_messages(&pair, 8, 12).await;
    for (proxy, reporter) in reporters(&pair) {
        let scrape = Scrape::when(proxy, "istio_requests_total", 4.0).await.unwrap();
        assert_eq!(scrape.labels("istio_requests_total"), &call(reporter, "0"));
    }
}

/// In the headers of a response without messages, or in the trailers of one with.
#[tokio::test]
async fn a_status_is_told_wherever_it_comes_from() {
    let Some(envoy) = real_envoy() else { return };
    let backend = Backend::start().await;
    let pair = pair(&envoy, backend.port, "600s").await;
    let mut client = Client::connect(pair.client.traffic_port).await.unwrap();
    let not_found = Request::new(Words { status: 5, ..words() });
    assert_eq!(client.unary(not_found).await.unwrap_err().code(), Code::NotFound);
    expect_call(&pair, "5", 1).await;
    let mut answers =
        client.server_stream(Words { count: 2, status: 13, ..words() }).await.unwrap();
    assert_eq!(rest(&mut answers).await, (2, Code::Internal));
    expect_call(&pair, "13", 2).await;
    expect_messages(&pair, 2, 2).await;
    let late = Request::new(Words { status: 4, delay: 50, ..words() });
    assert_eq!(client.unary(late).await.unwrap_err().code(), Code::DeadlineExceeded);
    expect_call(&pair, "4", 3).await;
    expect_messages(&pair, 3, 2).await;
}

/// The server's sidecar answers for an application that is not there.
#[tokio::test]
async fn a_proxy_answers_with_a_status_of_its_own() {
    let Some(envoy) = real_envoy() else { return };
    let pair = pair(&envoy, 1, "600s").await;
    let mut client = Client::connect(pair.client.traffic_port).await.unwrap();
    let refused = client.unary(Request::new(words())).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    for (proxy, reporter, flags) in
        [(&pair.client, "source", "-"), (&pair.server, "destination", "UF")]
    {
        let scrape = Scrape::when(proxy, "istio_requests_total", 1.0).await.unwrap();
        let labels = with(&call(reporter, "14"), &[("response_flags", flags)]);
        assert_eq!(scrape.labels("istio_requests_total"), &labels);
    }
}

/// The client gives up when its time is over: there is no response, and so no status.
#[tokio::test]
async fn a_call_past_its_deadline_has_no_status() {
    let Some(envoy) = real_envoy() else { return };
    let backend = Backend::start().await;
    let pair = pair(&envoy, backend.port, "600s").await;
    let mut client = Client::connect(pair.client.traffic_port).await.unwrap();
    let mut slow = Request::new(Words { delay: 5000, ..words() });
    slow.set_timeout(Duration::from_millis(100));
    assert!(client.unary(slow).await.is_err());
    // Reset by the client; without a response the source does not learn who the server is.
    let source = without_destination(&call("source", ""));
    let gone = [("response_code", "0"), ("response_flags", "DR")];
    for (proxy, labels) in [(&pair.client, source), (&pair.server, call("destination", ""))] {
        let scrape = Scrape::when(proxy, "istio_requests_total", 1.0).await.unwrap();
        assert_eq!(scrape.labels("istio_requests_total"), &with(&labels, &gone));
        assert_eq!((scrape.total(REQUESTS), scrape.total(RESPONSES)), (1.0, 0.0));
    }
}

#[tokio::test]
async fn a_stream_is_told_while_it_lasts() {
    let Some(envoy) = real_envoy() else { return };
    let backend = Backend::start().await;
    let pair = pair(&envoy, backend.port, "0.1s").await;
    let mut client = Client::connect(pair.client.traffic_port).await.unwrap();
    let (sender, mut answers) = client.talk().await.unwrap();
    say(&sender, &mut answers, 2).await;
    expect_messages(&pair, 2, 4).await;
    say(&sender, &mut answers, 3).await;
    expect_messages(&pair, 5, 10).await;
    for (proxy, _) in reporters(&pair) {
        let scrape = Scrape::of(proxy).await.unwrap();
        assert!(scrape.all("istio_requests_total").is_empty());
    }
    say(&sender, &mut answers, 1).await;
    drop(sender);
    assert_eq!(rest(&mut answers).await, (0, Code::Ok));
    expect_call(&pair, "0", 1).await;
    expect_messages(&pair, 6, 12).await;
    // Some reports' time: what was told is not told again.
    tokio::time::sleep(Duration::from_millis(300)).await;
    expect_messages(&pair, 6, 12).await;
}

/// The labels of a first report that comes from the timer are those of one that comes at the end.
#[tokio::test]
async fn a_stream_has_the_labels_of_a_call_that_was_short() {
    let Some(envoy) = real_envoy() else { return };
    let backend = Backend::start().await;
    let config = r#"{"metadata_exchange":{},"tcp_reporting_duration":"0.1s"}"#;
    let mut client = Sidecar::productpage(0);
    let mut server = Sidecar::ratings(backend.port);
    for sidecar in [&mut client, &mut server] {
        // No service is known: the host stands in for it.
        sidecar.istio_metadata = serde_json::json!({});
        config.clone_into(&mut sidecar.config);
    }
    let pair = Pair::start(&envoy, client, &server).await.unwrap();
    let host = format!("127.0.0.1:{}", pair.client.traffic_port);
    let mut client = Client::connect(pair.client.traffic_port).await.unwrap();
    let (sender, mut answers) = client.talk().await.unwrap();
    say(&sender, &mut answers, 2).await;
    for (proxy, reporter) in reporters(&pair) {
        let service = [("destination_service", host.as_str()), ("destination_service_name", &host)];
        let scrape = Scrape::when(proxy, REQUESTS, 2.0).await.unwrap();
        assert_eq!(scrape.labels(REQUESTS), &with(&peers(reporter), &service));
    }
    client.unary(Request::new(words())).await.unwrap();
    for (proxy, _) in reporters(&pair) {
        let scrape = Scrape::when(proxy, REQUESTS, 3.0).await.unwrap();
        assert_eq!(scrape.all(REQUESTS).len(), 1);
    }
}

/// A stream of which nothing is told while it lasts: two messages there, four back.
async fn told_at_its_end(envoy: &Path, sidecar: &Sidecar) -> Envoy {
    let proxy = sidecar.start(envoy).await.unwrap();
    let mut client = Client::connect(proxy.traffic_port).await.unwrap();
    let (sender, mut answers) = client.talk().await.unwrap();
    say(&sender, &mut answers, 2).await;
    // Some reports' time.
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert!(Scrape::of(&proxy).await.unwrap().all(REQUESTS).is_empty());
    drop(sender);
    assert_eq!(rest(&mut answers).await, (0, Code::Ok));
    proxy
}

/// Without an exchange nobody keeps the host of a request, so one that stands in for a service is waited for.
#[tokio::test]
async fn a_stream_to_no_known_service_is_told_at_its_end_only() {
    let Some(envoy) = real_envoy() else { return };
    let backend = Backend::start().await;
    let mut client = Sidecar::productpage(backend.port);
    client.config = r#"{"tcp_reporting_duration":"0.1s"}"#.to_owned();
    client.istio_metadata = serde_json::json!({});
    client.endpoint_workload = Some("ratings-v1;shop;;;".to_owned());
    let proxy = told_at_its_end(&envoy, &client).await;
    let scrape = Scrape::when(&proxy, REQUESTS, 2.0).await.unwrap();
    let host = format!("127.0.0.1:{}", proxy.traffic_port);
    assert_eq!(scrape.labels(REQUESTS)["destination_service"], host);
    assert_eq!(scrape.labels(REQUESTS)["destination_workload"], "ratings-v1");
}

/// Nobody is known to whom the messages belong before the end; who calls without an exchange stays unknown.
#[tokio::test]
async fn a_stream_with_nobody_known_is_told_at_its_end_only() {
    let Some(envoy) = real_envoy() else { return };
    let backend = Backend::start().await;
    let mut server = Sidecar::ratings(backend.port);
    server.config = r#"{"tcp_reporting_duration":"0.1s"}"#.to_owned();
    let proxy = told_at_its_end(&envoy, &server).await;
    let scrape = Scrape::when(&proxy, RESPONSES, 4.0).await.unwrap();
    assert_eq!(scrape.total(REQUESTS), 2.0);
    let unknown = without_source(&peers("destination"));
    assert_eq!(scrape.labels(REQUESTS), &unknown);
}
