//! One WasmPlugin for both directions of every sidecar.

use super::counted::REQUESTS;
use crate::mesh::Mesh;
use anyhow::{Context as _, Result, ensure};

const PLUGIN: &str = "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: both-directions, namespace: istio-system}
spec:
  url: oci://registry.example.com/opmeter:0.1.0
  phase: STATS
  failStrategy: FAIL_OPEN
  pluginConfig: {metadata_exchange: {}}
";

/// What both sides know, from the exchange and from certificates.
const KNOWN: [(&str, &str); 14] = [
    ("source_workload", "productpage-v1"),
    ("source_workload_namespace", "default"),
    ("source_app", "productpage"),
    ("source_version", "v1"),
    ("source_canonical_service", "productpage"),
    ("source_canonical_revision", "v1"),
    ("source_cluster", "Kubernetes"),
    ("destination_workload", "ratings-v1"),
    ("destination_workload_namespace", "default"),
    ("destination_app", "ratings"),
    ("destination_version", "v1"),
    ("destination_canonical_service", "ratings"),
    ("destination_canonical_revision", "v1"),
    ("destination_service_name", "ratings"),
];

/// Both peers are known on both sides, and no application sees a header of the exchange.
pub async fn exchanges_metadata(mesh: &mut Mesh) -> Result<()> {
    let plugin = mesh.apply(PLUGIN)?;
    let pair = mesh.pair();
    pair.settle("/items").await?;
    let application = mesh.ratings.application.as_ref().context("ratings has an application")?;
    application.take();
    let counted = pair.counted_once("/items").await?;
    let received = application.take();
    ensure!(received.len() == REQUESTS, "the application received {}", received.len());
    for (_, headers) in &received {
        for name in ["x-envoy-peer-metadata", "x-envoy-peer-metadata-id"] {
            ensure!(!headers.contains_key(name), "the application received {name}: {headers:?}");
        }
    }
    for label in KNOWN {
        counted.has("source", label)?;
        counted.has("destination", label)?;
    }
    drop(plugin);
    Ok(())
}
