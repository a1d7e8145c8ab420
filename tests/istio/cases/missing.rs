//! A module that cannot be had.

use super::counted::{REQUESTS, UPDATE, all_ok};
use crate::mesh::Mesh;
use crate::wait::until;
use anyhow::Result;

/// An image that the registry does not have: all answers are 200, and nothing is counted.
pub async fn image(mesh: &mut Mesh) -> Result<()> {
    let pair = mesh.pair();
    let before = pair.now().await?;
    let stream = pair.client.stream("/items");
    let _plugin =
        mesh.apply(&plugin("missing-image", "oci://registry.example.com/opmeter:missing"))?;
    // The agent puts a filter that lets everything pass in the place of the module.
    let replaced = until("the agent's substitute", UPDATE, async || {
        let mut all = true;
        for pod in [&mesh.productpage, &mesh.ratings] {
            let dump = pod.admin("/config_dump?resource=ecds_filters").await?;
            all &= dump.contains("envoy.extensions.filters.http.rbac.v3.RBAC");
        }
        Ok(all.then_some(()))
    })
    .await;
    all_ok(&stream.stop().await?)?;
    replaced?;
    all_ok(&pair.client.get_times("/items", REQUESTS).await?)?;
    pair.since(&before, 0).await.map(drop)
}

/// A file that is not there: Envoy answers 500, whatever the strategy. No module can help; the documentation says so.
pub async fn file(mesh: &mut Mesh) -> Result<()> {
    let pair = mesh.pair();
    let plugin = mesh.apply(&plugin("missing-file", "file:///nowhere/opmeter.wasm"))?;
    until("answers 500", UPDATE, async || {
        Ok((pair.client.get("/items").await? == 500).then_some(()))
    })
    .await?;
    drop(plugin);
    Ok(())
}

fn plugin(name: &str, url: &str) -> String {
    format!(
        "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {{name: {name}, namespace: default}}
spec:
  url: {url}
  phase: STATS
  failStrategy: FAIL_OPEN
"
    )
}
