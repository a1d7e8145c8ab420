//! What an operator does to a mesh that counts: no answer fails, no count is lost.

use super::counted::{UPDATE, all_ok};
use crate::Shared;
use crate::mesh::Mesh;
use crate::wait::until;
use anyhow::{Result, ensure};
use libtest_mimic::Trial;

/// All tests.
pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("operated::another_module", another_module),
        shared.trial("operated::removed", removed),
        shared.trial("operated::istiod_down", istiod_down),
        shared.trial("operated::registry_down", registry_down),
        shared.trial("operated::refused_by_strict", refused_by_strict),
    ]
}

/// Another module by another tag takes over under traffic.
async fn another_module(mesh: &mut Mesh) -> Result<()> {
    mesh.push("0.1.1", "0.1.1")?;
    let mut plugin = mesh.apply(&wasm_plugin("another-module", "0.1.0", "{}"))?;
    let pair = mesh.pair();
    pair.settle("/items").await?;
    let before = pair.now().await?;
    let stream = pair.client.stream("/items");
    plugin.update(&wasm_plugin("another-module", "0.1.1", "{}"))?;
    pair.told(&before, "opmeter_config_accepted_total").await?;
    let statuses = stream.stop().await?;
    all_ok(&statuses)?;
    pair.since(&before, statuses.len()).await.map(drop)
}

/// All answers are 200 while the plugin goes away.
async fn removed(mesh: &mut Mesh) -> Result<()> {
    let plugin = mesh.apply(&wasm_plugin("removed", "0.1.0", "{}"))?;
    let pair = mesh.pair();
    pair.settle("/items").await?;
    let stream = pair.client.stream("/items");
    drop(plugin);
    let gone = pair.gone(".wasm.v3.").await;
    all_ok(&stream.stop().await?)?;
    gone
}

/// Without istiod both proxies go on as they are; a plugin that is applied meanwhile comes when it is back.
async fn istiod_down(mesh: &mut Mesh) -> Result<()> {
    let plugin = mesh.apply(&wasm_plugin("istiod-down", "0.1.0", "{}"))?;
    mesh.pair().settle("/items").await?;
    mesh.istiod.stop();
    mesh.pair().counted_once("/items").await?;
    mesh.istiod.start().await?;
    mesh.pair().counted_once("/items").await?;
    drop(plugin);
    // It is heard of again.
    mesh.pair().gone(".wasm.v3.").await
}

/// A proxy that starts while the image cannot be had answers, and does not count.
async fn registry_down(mesh: &mut Mesh) -> Result<()> {
    mesh.push("0.1.0", "0.1.2")?;
    mesh.stop_registry();
    let plugin = mesh.apply(&wasm_plugin("registry-down", "0.1.2", "{}"))?;
    let restarted = mesh.ratings.restart().await;
    mesh.start_registry().await?;
    restarted?;
    let pair = mesh.pair();
    let before = pair.now().await?;
    all_ok(&pair.client.get_times("/items", 20).await?)?;
    pair.since(&before, 0).await?;
    drop(plugin);
    Ok(())
}

/// `strict` refuses what is wrong: istiod's log has the refusal, and what was in force goes on.
async fn refused_by_strict(mesh: &mut Mesh) -> Result<()> {
    let mut plugin = mesh.apply(&wasm_plugin("strictly", "0.1.0", "{strict: true}"))?;
    let pair = mesh.pair();
    pair.settle("/items").await?;
    let before = pair.now().await?;
    let stream = pair.client.stream("/items");
    plugin.update(&wasm_plugin("strictly", "0.1.0", "{strict: true, attributs: []}"))?;
    until("the refusal in istiod's log", UPDATE, async || {
        let log = mesh.istiod.log();
        let refused = log.lines().filter(|line| line.contains("ADS:ECDS: ACK ERROR"));
        Ok((refused.filter(|line| line.contains("Unable to create Wasm")).count() >= 2)
            .then_some(()))
    })
    .await?;
    let statuses = stream.stop().await?;
    all_ok(&statuses)?;
    let counted = pair.since(&before, statuses.len()).await?;
    for page in [&counted.source, &counted.destination] {
        let rejected = page.total("opmeter_config_rejected_total", &[]);
        ensure!(rejected > 0.0, "opmeter_config_rejected_total did not rise\n{}", counted.shown());
    }
    Ok(())
}

fn wasm_plugin(name: &str, tag: &str, config: &str) -> String {
    format!(
        "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {{name: {name}, namespace: default}}
spec:
  url: oci://registry.example.com/opmeter:{tag}
  phase: STATS
  failStrategy: FAIL_OPEN
  pluginConfig: {config}
"
    )
}
