//! A configuration that is wrong costs neither an answer nor a count.

use super::counted::{REQUESTS, all_ok};
use crate::Shared;
use crate::mesh::Mesh;
use anyhow::{Context as _, Result};
use libtest_mimic::Trial;

/// Counts problems of configurations.
const ERRORS: &str = "opmeter_config_errors_total";
/// Counts configurations that are no JSON object.
const UNREADABLE: &str = "opmeter_config_unreadable_total";

/// What can be wrong: a name and a `pluginConfig`. What is right beside it works.
const WRONG: [(&str, &str); 3] = [
    (
        "misspelt-field",
        "{attributs: [], metrics: [{dimensions: {request_operation: request.method}}]}",
    ),
    ("wrong-type", "{metrics: all}"),
    ("field-of-a-later-version", "{quantiles: {levels: [0.5, 0.99]}}"),
];
const RIGHT: &str = "{metrics: [{dimensions: {request_operation: request.method}}]}";

/// All tests.
pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("broken::applied_first", applied_first),
        shared.trial("broken::restarted", restarted),
        shared.trial("broken::as_an_update", as_an_update),
        shared.trial("broken::unreadable_first", unreadable_first),
        shared.trial("broken::unreadable_as_an_update", unreadable_as_an_update),
    ]
}

/// Proxies that run get it: all answers are 200, and the standard metrics count.
async fn applied_first(mesh: &mut Mesh) -> Result<()> {
    for (name, config) in WRONG {
        let first = async {
            let plugin = wasm_plugin(&format!("first-{name}"), config);
            let _plugin = under_traffic(mesh, ERRORS, || mesh.apply(&plugin)).await?;
            mesh.pair().settle("/items").await?;
            mesh.pair().counted_once("/items").await.map(drop)
        };
        first.await.with_context(|| name.to_owned())?;
        mesh.rest().await?;
    }
    Ok(())
}

/// A proxy that starts with it gets ready and counts.
async fn restarted(mesh: &mut Mesh) -> Result<()> {
    for (name, config) in WRONG {
        let restarted = async |mesh: &mut Mesh| {
            let _plugin = mesh.apply(&wasm_plugin(&format!("start-{name}"), config))?;
            mesh.ratings.restart().await?;
            mesh.pair().settle("/items").await?;
            mesh.pair().counted_once("/items").await.map(drop)
        };
        restarted(mesh).await.with_context(|| name.to_owned())?;
        mesh.rest().await?;
    }
    Ok(())
}

/// In the place of one that is right: nothing that is sent meanwhile is lost.
async fn as_an_update(mesh: &mut Mesh) -> Result<()> {
    for (name, config) in WRONG {
        let update = format!("update-{name}");
        let updated = async {
            let mut plugin = mesh.apply(&wasm_plugin(&update, RIGHT))?;
            mesh.pair().settle("/items").await?;
            exactly(mesh, ERRORS, || plugin.update(&wasm_plugin(&update, config))).await?;
            mesh.pair().counted_once("/items").await.map(drop)
        };
        updated.await.with_context(|| name.to_owned())?;
        mesh.rest().await?;
    }
    Ok(())
}

/// Text that is no JSON, which only an EnvoyFilter can carry: all answers are 200, and nothing is counted.
async fn unreadable_first(mesh: &mut Mesh) -> Result<()> {
    let filter = envoy_filter("unreadable-first", "metrics: []");
    let _filter = under_traffic(mesh, UNREADABLE, || mesh.apply(&filter)).await?;
    let pair = mesh.pair();
    let before = pair.now().await?;
    all_ok(&pair.client.get_times("/items", REQUESTS).await?)?;
    pair.since(&before, 0).await.map(drop)
}

/// In the place of one that is right: that one goes on.
async fn unreadable_as_an_update(mesh: &mut Mesh) -> Result<()> {
    let right = r#"{"metrics": [{"dimensions": {"request_operation": "request.method"}}]}"#;
    let mut filter = mesh.apply(&envoy_filter("unreadable-update", right))?;
    mesh.pair().settle("/items").await?;
    let update = || filter.update(&envoy_filter("unreadable-update", "metrics: []"));
    exactly(mesh, UNREADABLE, update).await?;
    mesh.pair().counted_once("/items").await.map(drop)
}

/// Does something while requests go on, until both proxies tell of it; all answers are 200.
async fn under_traffic<T>(
    mesh: &Mesh,
    metric: &str,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let pair = mesh.pair();
    let stream = pair.client.stream("/items");
    let before = pair.now().await?;
    let done = work()?;
    let told = pair.told(&before, metric).await;
    all_ok(&stream.stop().await?)?;
    told.map(|()| done)
}

/// Likewise, and every request is counted once by both sides.
async fn exactly(mesh: &Mesh, metric: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let pair = mesh.pair();
    let before = pair.now().await?;
    let stream = pair.client.stream("/items");
    work()?;
    let told = pair.told(&before, metric).await;
    let statuses = stream.stop().await?;
    all_ok(&statuses)?;
    told?;
    pair.since(&before, statuses.len()).await.map(drop)
}

/// A WasmPlugin for all sidecars of the namespace with this configuration.
fn wasm_plugin(name: &str, config: &str) -> String {
    format!(
        "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {{name: {name}, namespace: default}}
spec:
  url: oci://registry.example.com/opmeter:0.1.0
  pluginName: {name}
  phase: STATS
  failStrategy: FAIL_OPEN
  pluginConfig: {config}
"
    )
}

/// An EnvoyFilter for all sidecars of the namespace with this text as configuration.
fn envoy_filter(name: &str, text: &str) -> String {
    let patch = |context: &str| ENVOY_FILTER_PATCH.replace("CONTEXT", context);
    let patches = ["SIDECAR_INBOUND", "SIDECAR_OUTBOUND"].map(patch).concat();
    let document = format!("{ENVOY_FILTER}{patches}");
    document.replace("NAME", name).replace("TEXT", text)
}

const ENVOY_FILTER: &str = "\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: NAME, namespace: default}
spec:
  configPatches:
";

const ENVOY_FILTER_PATCH: &str = "  - applyTo: HTTP_FILTER
    match:
      context: CONTEXT
      listener:
        filterChain:
          filter:
            name: envoy.filters.network.http_connection_manager
            subFilter: {name: envoy.filters.http.router}
    patch:
      operation: INSERT_BEFORE
      value:
        name: NAME
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
          config:
            name: NAME
            root_id: NAME
            failure_policy: FAIL_OPEN
            configuration:
              '@type': type.googleapis.com/google.protobuf.StringValue
              value: 'TEXT'
            vm_config:
              runtime: envoy.wasm.runtime.v8
              code: {local: {filename: /var/lib/opmeter/opmeter.wasm}}
";
