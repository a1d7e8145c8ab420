//! Requests that a filter before the module answers: who was refused is what people look for.

use super::counted::{REQUESTS, UPDATE};
use crate::mesh::Mesh;
use crate::wait::until;
use anyhow::{Result, ensure};

const PLUGIN: &str = "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: counting, namespace: istio-system}
spec:
  url: oci://registry.example.com/opmeter:0.1.0
  phase: STATS
  failStrategy: FAIL_OPEN
  pluginConfig: {metadata_exchange: {}}
";

const POLICY: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed, namespace: default}
spec:
  selector: {matchLabels: {app: ratings}}
  action: DENY
  rules: [{to: [{operation: {paths: [/closed]}}]}]
";

const RATE_LIMIT: &str = "\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: limited, namespace: default}
spec:
  workloadSelector: {labels: {app: ratings}}
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_INBOUND
      listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}
    patch:
      operation: INSERT_FIRST
      value:
        name: limited
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
          stat_prefix: limited
          token_bucket: {max_tokens: 1, tokens_per_fill: 1, fill_interval: 3600s}
          filter_enabled: {default_value: {numerator: 100}}
          filter_enforced: {default_value: {numerator: 100}}
";

/// What the destination knows of a request that it refuses.
const KNOWN: [(&str, &str); 7] = [
    ("source_workload", "productpage-v1"),
    ("source_workload_namespace", "default"),
    ("source_app", "productpage"),
    ("source_version", "v1"),
    ("source_canonical_service", "productpage"),
    ("destination_workload", "ratings-v1"),
    ("destination_service_name", "ratings"),
];

/// An AuthorizationPolicy answers 403.
pub async fn by_policy(mesh: &mut Mesh) -> Result<()> {
    let _plugin = mesh.apply(PLUGIN)?;
    mesh.pair().settle("/items").await?;
    let _policy = mesh.apply(POLICY)?;
    refused(mesh, "/closed", 403).await
}

/// Envoy's local rate limit answers 429.
pub async fn by_rate_limit(mesh: &mut Mesh) -> Result<()> {
    let _plugin = mesh.apply(PLUGIN)?;
    mesh.pair().settle("/items").await?;
    let _limit = mesh.apply(RATE_LIMIT)?;
    refused(mesh, "/items", 429).await
}

/// Once all requests are refused: each is counted by both sides, and the destination knows where it came from.
async fn refused(mesh: &Mesh, path: &str, status: u16) -> Result<()> {
    let pair = mesh.pair();
    until(&format!("answers {status}"), UPDATE, async || {
        let statuses = pair.client.get_times(path, REQUESTS).await?;
        Ok(statuses.iter().all(|found| *found == status).then_some(()))
    })
    .await?;
    let before = pair.now().await?;
    let statuses = pair.client.get_times(path, REQUESTS).await?;
    ensure!(statuses.iter().all(|found| *found == status), "{statuses:?}");
    let counted = pair.since(&before, REQUESTS).await?;
    counted.has("destination", ("response_code", &status.to_string()))?;
    KNOWN.iter().try_for_each(|label| counted.has("destination", *label))
}
