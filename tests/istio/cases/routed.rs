//! What Istio's own resources do to requests, and what is counted of it. `base` of the shipped manifests counts.

use super::counted::{ALL, REQUESTS, UPDATE, all_ok};
use crate::Shared;
use crate::applications::{Application, DELAY_HEADER, STATUS_HEADER};
use crate::mesh::Mesh;
use crate::network::NODE;
use crate::wait::until;
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use std::net::SocketAddr;

const PLUGIN: &str = include_str!("../../../istio-manifests/base/manifests.yaml");

/// Mutual TLS as a PeerAuthentication asks for it, and the label's value at the destination.
const SECURITY: [(&str, &str); 3] =
    [("STRICT", "mutual_tls"), ("PERMISSIVE", "mutual_tls"), ("DISABLE", "none")];

/// All tests.
pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("routed::mutual_tls", mutual_tls),
        shared.trial("routed::fault", fault),
        shared.trial("routed::retries", retries),
        shared.trial("routed::timeout", timeout),
        shared.trial("routed::passthrough", passthrough),
        shared.trial("routed::black_hole", black_hole),
    ]
}

/// The label of connections has the mode that is in force.
async fn mutual_tls(mesh: &mut Mesh) -> Result<()> {
    let _plugin = mesh.apply(PLUGIN)?;
    let pair = mesh.pair();
    pair.settle("/items").await?;
    for (mode, policy) in SECURITY {
        let _mode = mesh.apply(&PEER_AUTHENTICATION.replace("MODE", mode))?;
        until(mode, UPDATE, async || {
            let counted = pair.counted_once("/items").await?;
            counted.has("destination", ("connection_security_policy", policy))?;
            counted.has("source", ("connection_security_policy", "unknown")).map(Some)
        })
        .await?;
    }
    Ok(())
}

/// A fault of a VirtualService is answered by the source: the destination does not hear of it.
async fn fault(mesh: &mut Mesh) -> Result<()> {
    let _plugin = mesh.apply(PLUGIN)?;
    mesh.pair().settle("/items").await?;
    let _route =
        mesh.apply(&route("  - fault: {abort: {percentage: {value: 100}, httpStatus: 503}}"))?;
    let labels = [("response_code", "503"), ("response_flags", "FI")];
    at_source(mesh, &[], 503, &labels, 0.0).await
}

/// The source counts a request with retries once, the destination each attempt.
async fn retries(mesh: &mut Mesh) -> Result<()> {
    let _plugin = mesh.apply(PLUGIN)?;
    mesh.pair().settle("/items").await?;
    let _route = mesh.apply(&route("  - retries: {attempts: 2, retryOn: '5xx', backoff: 1ms}"))?;
    let labels = [("response_code", "500"), ("response_flags", "URX")];
    at_source(mesh, &[(STATUS_HEADER, "500")], 500, &labels, 3.0 * ALL).await
}

/// The source gives up and says so; for the destination the client went away.
async fn timeout(mesh: &mut Mesh) -> Result<()> {
    let _plugin = mesh.apply(PLUGIN)?;
    mesh.pair().settle("/items").await?;
    let _route = mesh.apply(&route("  - timeout: 50ms\n    retries: {attempts: 0}"))?;
    let labels = [("response_code", "504"), ("response_flags", "UT")];
    at_source(mesh, &[(DELAY_HEADER, "300")], 504, &labels, ALL).await
}

/// What the mesh does not know is counted with the name of Istio's cluster for it, on a port that some Service has for HTTP.
/// On other ports it is a connection that no module sees: Istio gives that filter chain no WasmPlugin.
async fn passthrough(mesh: &mut Mesh) -> Result<()> {
    let _plugin = mesh.apply(PLUGIN)?;
    mesh.pair().settle("/items").await?;
    let label = ("destination_service_name", "PassthroughCluster");
    for (port, expected) in [(9080, ALL), (9081, 0.0)] {
        let to: SocketAddr = format!("{NODE}:{port}").parse()?;
        let _outside = Application::on_node(to)?;
        let client = mesh.productpage.client(to, "outside.example.com");
        let before = mesh.productpage.scrape().await?;
        all_ok(&client.get_times("/items", REQUESTS).await?)?;
        until("PassthroughCluster", UPDATE, async || {
            let grown = mesh.productpage.scrape().await?.since(&before);
            let requests = grown.requests("source", &[label]);
            let connections = grown.total("istio_tcp_connections_opened_total", &[label]);
            ensure!((requests, connections) == (expected, 0.0), "port {port}: {}", grown.shown());
            Ok(Some(()))
        })
        .await?;
    }
    Ok(())
}

/// What the mesh does not know and is told not to let pass is answered 502, and counted.
async fn black_hole(mesh: &mut Mesh) -> Result<()> {
    let _plugin = mesh.apply(PLUGIN)?;
    let _only = mesh.apply(REGISTRY_ONLY)?;
    mesh.pair().settle("/items").await?;
    // Port 9080 has routes, which Istio ends with a virtual host for all that is left.
    let to: SocketAddr = format!("{NODE}:9080").parse()?;
    let client = mesh.productpage.client(to, "outside.example.com");
    until("BlackHoleCluster", UPDATE, async || {
        let before = mesh.productpage.scrape().await?;
        let statuses = client.get_times("/items", REQUESTS).await?;
        ensure!(statuses.iter().all(|status| *status == 502), "{statuses:?}");
        let grown = mesh.productpage.scrape().await?.since(&before);
        let labels = [("destination_service_name", "BlackHoleCluster"), ("response_code", "502")];
        ensure!(grown.requests("source", &labels) == ALL, "{}", grown.shown());
        Ok(Some(()))
    })
    .await
}

/// Sends requests until all are answered with a status, then counts: all of them with the labels at the source, and
/// so many at the destination.
async fn at_source(
    mesh: &Mesh,
    headers: &[(&str, &str)],
    status: u16,
    labels: &[(&str, &str)],
    at_destination: f64,
) -> Result<()> {
    let pair = mesh.pair();
    until(&format!("{labels:?}"), UPDATE, async || {
        let before = pair.now().await?;
        for _ in 0..REQUESTS {
            let found = pair.client.send("GET", "/items", headers).await?.status().as_u16();
            ensure!(found == status, "{found} instead of {status}");
        }
        let counted = async || {
            let now = pair.now().await?;
            let (source, destination) =
                (now.source.since(&before.source), now.destination.since(&before.destination));
            let of_destination = destination.requests("destination", &[]);
            let found =
                (source.requests("source", &[]), source.requests("source", labels), of_destination);
            let shown = || format!("{found:?}\n{}\n{}", source.shown(), destination.shown());
            ensure!(found == (ALL, ALL, at_destination), "{}", shown());
            Ok(Some(()))
        };
        until("the count", std::time::Duration::from_secs(3), counted).await.map(Some)
    })
    .await
}

fn route(first: &str) -> String {
    ROUTE.replace("FIRST", first)
}

const ROUTE: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings, namespace: default}
spec:
  hosts: [ratings]
  http:
FIRST
    route: [{destination: {host: ratings}}]
";

const PEER_AUTHENTICATION: &str = "\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: ratings, namespace: default}
spec:
  selector: {matchLabels: {app: ratings}}
  mtls: {mode: MODE}
";

const REGISTRY_ONLY: &str = "\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: productpage, namespace: default}
spec:
  workloadSelector: {labels: {app: productpage}}
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  egress: [{hosts: ['*/*']}]
";
