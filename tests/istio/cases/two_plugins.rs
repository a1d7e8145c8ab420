//! Two of our WasmPlugins in one proxy: one for the mesh, and a team's own beside it.

use super::counted::{ALL, UPDATE};
use crate::mesh::Mesh;
use crate::wait::until;
use anyhow::{Result, ensure};

const MESH_WIDE: &str = "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: mesh-wide, namespace: istio-system}
spec:
  url: oci://registry.example.com/opmeter:0.1.0
  phase: STATS
  failStrategy: FAIL_OPEN
  pluginConfig: {metrics: [{dimensions: {request_operation: request.method}}]}
";

const OWN: &str = "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: of-the-team, namespace: default}
spec:
  selector: {matchLabels: {app: ratings}}
  url: oci://registry.example.com/opmeter:0.1.0
  phase: STATS
  failStrategy: FAIL_OPEN
  pluginConfig: {metrics: [{dimensions: {request_operation: request.url_path}}]}
";

/// Counts streams that another mount of the module has counted.
const DUPLICATES: &str = "opmeter_duplicate_streams_total";

/// Each request is counted once by each side; the proxy with two tells what the second left out.
pub async fn count_once(mesh: &mut Mesh) -> Result<()> {
    let pair = mesh.pair();
    let mesh_wide = mesh.apply(MESH_WIDE)?;
    pair.settle("/items").await?;
    let own = mesh.apply(OWN)?;
    until("the second plugin", UPDATE, async || {
        Ok(mesh.ratings.listeners().await?.contains("of-the-team").then_some(()))
    })
    .await?;
    pair.settle("/items").await?;
    let counted = pair.counted_once("/items").await?;
    let duplicates = counted.destination.total(DUPLICATES, &[]);
    ensure!(duplicates == ALL, "{DUPLICATES} of ratings is {duplicates} instead of {ALL}");
    let duplicates = counted.source.total(DUPLICATES, &[]);
    ensure!(duplicates == 0.0, "{DUPLICATES} of productpage, with one plugin, is {duplicates}");
    drop((mesh_wide, own));
    Ok(())
}
