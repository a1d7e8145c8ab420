//! The shipped manifests, applied as they are: only the registry's address is another.
//!
//! `get-calls-before-1.21` is for older releases of Istio than the one that runs here.

use super::counted::{ALL, Both, Pair, UPDATE};
use crate::Shared;
use crate::client::Client;
use crate::mesh::Mesh;
use crate::pod::{Pod, Workload};
use crate::wait::until;
use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_yaml_ng::Value;

/// The labels of Istio's metrics for requests.
const LABELS: [&str; 25] = [
    "reporter",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_service",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_service_name",
    "destination_service_namespace",
    "destination_cluster",
    "request_protocol",
    "response_code",
    "grpc_response_status",
    "response_flags",
    "connection_security_policy",
];

/// A shipped file.
macro_rules! shipped {
    ($path:literal) => {
        include_str!(concat!("../../../istio-manifests/", $path))
    };
}

/// Routes of the ingress gateway, which the manifests do not bring.
const ROUTES: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 9080, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge, namespace: istio-system}
spec:
  hosts: ['*']
  gateways: [edge]
  http:
  - match: [{uri: {prefix: /api/ratings/}}]
    rewrite: {uri: /}
    route: [{destination: {host: ratings.default.svc.cluster.local}}]
";

/// All tests.
pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("examples::base", base),
        shared.trial("examples::gateway", gateway),
        shared.trial("examples::of_one_workload", of_one_workload),
    ]
}

/// `base`: each request is counted once by each side, with all labels and the operation, on both ports.
async fn base(mesh: &mut Mesh) -> Result<()> {
    let base = mesh.apply(shipped!("base/manifests.yaml"))?;
    let pair = mesh.pair();
    pair.settle("/items").await?;
    let counted = pair.counted_once("/items").await?;
    both_have(&counted, ("request_operation", "get_items"))?;
    both_have(&counted, ("response_code", "200"))?;
    for page in [&counted.source, &counted.destination] {
        for series in page.all("istio_requests_total", &[]) {
            for label in LABELS {
                ensure!(series.labels.contains_key(label), "no {label} in {series}");
            }
        }
    }
    // Longer than the interval of reports: Istio puts the plugin for TCP into filter chains of HTTP too.
    tokio::time::sleep(std::time::Duration::from_secs(7)).await;
    for pod in [&mesh.productpage, &mesh.ratings] {
        let opened = pod.scrape().await?.total("istio_tcp_connections_opened_total", &[]);
        ensure!(opened == 0.0, "{opened} connections of HTTP are reported by {}", pod.name());
        let (own, merged) = (pod.scrape().await?, pod.scrape_port(15020).await?);
        let totals = [own, merged].map(|page| page.total("istio_requests_total", &[]));
        ensure!(totals[0] == totals[1], "15090 and 15020 of {}: {totals:?}", pod.name());
    }
    drop(base);
    Ok(())
}

/// `gateway`: the gateway names operations by the paths that it receives, before its routes rewrite them.
async fn gateway(mesh: &mut Mesh) -> Result<()> {
    let manifests = mesh.apply(shipped!("gateway/manifests.yaml"))?;
    let routes = mesh.apply(ROUTES)?;
    let ingress = mesh
        .pod(Workload {
            app: "istio-ingressgateway".to_owned(),
            version: "v1".to_owned(),
            namespace: "istio-system".to_owned(),
            labels: vec![("istio", "ingressgateway".to_owned())],
            annotations: annotations(shipped!("gateway/tags.yaml"))?,
            is_gateway: true,
        })
        .await?;
    // Its own requests come from outside, and ratings has no module here.
    let client = Client { host: "shop.example.com".to_owned(), ..ingress.node_client(9080)? };
    until("the gateway's route", UPDATE, async || {
        Ok((client.get("/api/ratings/items").await? == 200).then_some(()))
    })
    .await?;
    let before = ingress.scrape().await?;
    client.get_times("/api/ratings/items", 20).await?;
    until("the gateway's count", UPDATE, async || {
        let grown = ingress.scrape().await?.since(&before);
        let operation = grown.requests("source", &[("request_operation", "ratings")]);
        ensure!(operation == ALL && grown.requests("source", &[]) == ALL, "{}", grown.shown());
        Ok(Some(()))
    })
    .await?;
    drop((manifests, routes, ingress));
    Ok(())
}

/// What stands for one workload, one after the other on the same pods: the file and its tags, the access logger, the
/// EnvoyFilter of the outbound side, the counter, and the attribute beside native metrics.
async fn of_one_workload(mesh: &mut Mesh) -> Result<()> {
    mesh.kubectl.run(&["create", "namespace", "shop"])?;
    mesh.kubectl.run(&["label", "namespace", "shop", "istio-injection=enabled"])?;
    let outbound = shop(mesh, "productpage", shipped!("outbound-envoyfilter/tags.yaml")).await?;
    let inbound = shop(mesh, "ratings", shipped!("workload-file/tags.yaml")).await?;
    let pair = Pair::of(&outbound, &inbound);

    let manifests = mesh.apply(shipped!("workload-file/manifests.yaml"))?;
    at_destination(&pair, "istio_requests_total", &[("request_operation", "get_items")]).await?;
    let page = inbound.scrape().await?;
    let le = |bound| page.all("istio_request_duration_milliseconds_bucket", &[("le", bound)]).len();
    ensure!(le("50") > 0 && le("25") == 0, "the buckets are not those of histogram_buckets");
    drop(manifests);
    pair.gone("ratings-operations").await?;

    let manifests = mesh.apply(shipped!("access-logger/manifests.yaml"))?;
    at_destination(&pair, "istio_requests_total", &[("request_operation", "get_items")]).await?;
    drop(manifests);
    pair.gone("ratings-logger").await?;

    let manifests = mesh.apply(shipped!("get-calls/manifests.yaml"))?;
    at_destination(&pair, "istio_get_calls", &[]).await?;
    drop(manifests);
    pair.gone("get-calls").await?;

    let manifests = mesh.apply(shipped!("outbound-envoyfilter/manifests.yaml"))?;
    let labels = [("upstream_operation", "get_items"), ("reporter", "source")];
    counts(&pair, &outbound, "istio_requests_total", &labels).await?;
    drop(manifests);
    pair.gone("productpage-calls").await?;

    // The attribute is for Istio's stats filter, which a stock Envoy has not: what can be seen is that nothing is counted.
    let manifests = mesh.apply(shipped!("beside-native/manifests.yaml"))?;
    until("the plugin", UPDATE, async || {
        Ok(inbound.listeners().await?.contains("shop.operations").then_some(()))
    })
    .await?;
    let before = pair.now().await?;
    pair.client.get_times("/items", 20).await?;
    pair.since(&before, 0).await?;
    drop(manifests);
    pair.gone("shop.operations").await
}

/// A pod in `shop` with the annotations of a patch for its Deployment.
async fn shop(mesh: &mut Mesh, app: &str, tags: &str) -> Result<Pod> {
    let annotations = annotations(tags)?;
    let workload = Workload { annotations, ..Workload::new(app, "v1") };
    mesh.pod(Workload { namespace: "shop".to_owned(), ..workload }).await
}

async fn at_destination(pair: &Pair<'_>, metric: &str, labels: &[(&str, &str)]) -> Result<()> {
    counts(pair, pair.destination, metric, labels).await
}

/// Sends requests until a proxy counts all of them in a metric with these labels.
async fn counts(pair: &Pair<'_>, proxy: &Pod, metric: &str, labels: &[(&str, &str)]) -> Result<()> {
    until(&format!("{metric} with {labels:?}"), UPDATE, async || {
        let before = proxy.scrape().await?;
        let statuses = pair.client.get_times("/items", 20).await?;
        ensure!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        let grown = proxy.scrape().await?.since(&before);
        ensure!(grown.total(metric, labels) == ALL, "{}", grown.shown());
        Ok(Some(()))
    })
    .await
}

/// The pod's annotations of a patch for a Deployment.
fn annotations(patch: &str) -> Result<Vec<(String, String)>> {
    let patch: Value = serde_yaml_ng::from_str(patch)?;
    let annotations = &patch["spec"]["template"]["metadata"]["annotations"];
    let annotations = annotations.as_mapping().context("a patch without annotations")?;
    let pair = |(name, value): (&Value, &Value)| {
        Some((name.as_str()?.to_owned(), value.as_str()?.to_owned()))
    };
    annotations.iter().map(|entry| pair(entry).context("an annotation that is no text")).collect()
}

fn both_have(counted: &Both, label: (&str, &str)) -> Result<()> {
    counted.has("source", label)?;
    counted.has("destination", label)
}
