//! A VirtualService that rewrites the path.

use super::counted::{REQUESTS, UPDATE};
use crate::mesh::Mesh;
use crate::wait::until;
use anyhow::{Context as _, Result};

const PLUGIN: &str = "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: operations, namespace: default}
spec:
  url: oci://registry.example.com/opmeter:0.1.0
  phase: STATS
  failStrategy: FAIL_OPEN
  pluginConfig:
    attributes:
    - output_attribute: istio_operation_id
      operations:
      - {method: GET, path: /api/items, value: public}
      - {method: GET, path: /items, value: internal}
    metrics: [{dimensions: {request_operation: istio_operation_id}}]
";

const ROUTE: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings, namespace: default}
spec:
  hosts: [ratings]
  http:
  - match: [{uri: {prefix: /api/}}]
    rewrite: {uri: /}
    route: [{destination: {host: ratings}}]
  - route: [{destination: {host: ratings}}]
";

/// Each proxy finds the operation by the path that it received: the source before the rewrite, the destination after it.
pub async fn path_as_received(mesh: &mut Mesh) -> Result<()> {
    let _plugin = mesh.apply(PLUGIN)?;
    let pair = mesh.pair();
    pair.settle("/items").await?;
    let _route = mesh.apply(ROUTE)?;
    let application = mesh.ratings.application.as_ref().context("ratings has an application")?;
    until("the route", UPDATE, async || {
        application.take();
        pair.client.get_times("/api/items", REQUESTS).await?;
        Ok(application.take().iter().all(|(path, _)| path == "/items").then_some(()))
    })
    .await?;
    let counted = pair.counted_once("/api/items").await?;
    counted.has("source", ("request_operation", "public"))?;
    counted.has("destination", ("request_operation", "internal"))
}
