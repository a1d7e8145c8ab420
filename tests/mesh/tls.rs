//! Identities from certificates: principals, the policy of the connection, the namespace they prove.

use crate::labels::{Labels, request, with, without_destination, without_source};
use crate::real_envoy;
use http_body_util::Full;
use hyper::Request;
use support::app::App;
use support::envoy::Envoy;
use support::http;
use support::mesh::{Accepts, Certificates, PRODUCTPAGE, Pair, RATINGS, Sidecar};
use support::scrape::Scrape;

async fn call(proxy: &Envoy) {
    let request = Request::get("/items").header("host", "ratings").body(Full::default());
    let response = http::call(proxy.traffic_port, request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
}

async fn expect(proxy: &Envoy, labels: &Labels) {
    let scrape = Scrape::when(proxy, "istio_requests_total", 1.0).await.unwrap();
    assert_eq!(scrape.labels("istio_requests_total"), labels);
}

/// Both sidecars, with certificates between them.
fn sidecars(application: u16, client: &str, server: &str) -> (Sidecar, Sidecar) {
    let ends = Certificates::new(client, server).unwrap();
    let mut sidecars = (Sidecar::productpage(0), Sidecar::ratings(application));
    sidecars.0.connects = Some(ends.clone());
    sidecars.1.accepts = Accepts::MutualTls(ends.other_end());
    sidecars
}

#[tokio::test]
async fn mutual_tls_tells_both_principals_on_both_sides() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let (client, server) = sidecars(app.port, PRODUCTPAGE, RATINGS);
    let pair = Pair::start(&envoy, client, &server).await.unwrap();
    call(&pair.client).await;
    let principals = [("source_principal", PRODUCTPAGE), ("destination_principal", RATINGS)];
    expect(&pair.client, &with(&request("source"), &principals)).await;
    let mutual = [("connection_security_policy", "mutual_tls")];
    let labels = with(&with(&request("destination"), &principals), &mutual);
    expect(&pair.server, &labels).await;
}

/// One listener serves plain text and TLS, as while a mesh is migrated.
#[tokio::test]
async fn a_permissive_server_tells_plain_text_from_tls() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let (secure, mut server) = sidecars(app.port, PRODUCTPAGE, RATINGS);
    server.accepts = Accepts::Permissive(secure.connects.as_ref().unwrap().other_end());
    let server = server.start(&envoy).await.unwrap();
    let secure = Sidecar { upstream: server.traffic_port, ..secure };
    let plain = Sidecar { connects: None, ..secure.clone() };
    call(&secure.start(&envoy).await.unwrap()).await;
    let plain = plain.start(&envoy).await.unwrap();
    call(&plain).await;
    expect(&plain, &request("source")).await;
    let scrape = Scrape::when(&server, "istio_requests_total", 2.0).await.unwrap();
    let principals = [
        ("source_principal", PRODUCTPAGE),
        ("destination_principal", RATINGS),
        ("connection_security_policy", "mutual_tls"),
    ];
    let found = scrape.all("istio_requests_total");
    for labels in [request("destination"), with(&request("destination"), &principals)] {
        assert!(found.iter().any(|series| series.labels == labels), "{labels:#?} in {found:#?}");
    }
}

/// What a header claims is not proof: the certificate's namespace stands against the metadata's.
#[tokio::test]
async fn a_certificate_decides_the_namespace() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let source = "spiffe://cluster.local/ns/proven-client/sa/a";
    let destination = "spiffe://cluster.local/ns/proven-server/sa/b";
    let (client, server) = sidecars(app.port, source, destination);
    let pair = Pair::start(&envoy, client, &server).await.unwrap();
    call(&pair.client).await;
    let principals = [("source_principal", source), ("destination_principal", destination)];
    let labels = with(&request("source"), &principals);
    let proven = [("destination_workload_namespace", "proven-server")];
    expect(&pair.client, &with(&labels, &proven)).await;
    let labels = with(&request("destination"), &principals);
    let proven = [
        ("source_workload_namespace", "proven-client"),
        ("connection_security_policy", "mutual_tls"),
    ];
    expect(&pair.server, &with(&labels, &proven)).await;
}

/// Certificates are enough for principals and namespaces.
#[tokio::test]
async fn identities_are_told_without_an_exchange() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let (mut client, mut server) = sidecars(app.port, PRODUCTPAGE, RATINGS);
    client.config.clear();
    server.config.clear();
    let pair = Pair::start(&envoy, client, &server).await.unwrap();
    call(&pair.client).await;
    let principals = [("source_principal", PRODUCTPAGE), ("destination_principal", RATINGS)];
    let labels = without_destination(&with(&request("source"), &principals));
    expect(&pair.client, &with(&labels, &[("destination_workload_namespace", "shop")])).await;
    let labels = without_source(&with(&request("destination"), &principals));
    let proven =
        [("source_workload_namespace", "default"), ("connection_security_policy", "mutual_tls")];
    expect(&pair.server, &with(&labels, &proven)).await;
}
