//! What is checked in is current, and is read by the programs it is for.

use crate::mesh::{configuration, file};
use anyhow::{Context, Result, ensure};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use support::module::workspace;
use support::prometheus::{binary, promtool};

/// A test without the running stack.
pub type Test = fn() -> Result<()>;

pub fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 4] = [
        ("generated_files_are_current", current),
        ("promtool_reads_the_configurations", configurations),
        ("kubernetes_targets_are_the_sidecars", kubernetes),
        ("both_scrapes_keep_the_same", same_relabelling),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(format!("files::{name}"), move || {
                test().map_err(|error| Failed::from(format!("{error:#}")))
            })
        })
        .collect()
}

fn current() -> Result<()> {
    for (name, text) in opmeter_boards::files::all()? {
        let found = std::fs::read_to_string(workspace().join(&name)).unwrap_or_default();
        ensure!(found == text, "{name} is not current: make generated");
    }
    Ok(())
}

fn configurations() -> Result<()> {
    let Some(prometheus) = binary().map_err(anyhow::Error::msg)? else { return Ok(()) };
    for name in ["prometheus.yaml", "federation.yaml"] {
        promtool(&prometheus, &["check", "config", &file(name).to_string_lossy()])?;
    }
    Ok(())
}

/// Debian's Prometheus is built without Kubernetes' discovery, so pods are told as it would tell them; the rules that pick
/// and name targets are the file's.
fn kubernetes() -> Result<()> {
    let Some(prometheus) = binary().map_err(anyhow::Error::msg)? else { return Ok(()) };
    let pod = |address: &str, port: &str, phase: &str| {
        json!({ "targets": [address], "labels": {
            "__meta_kubernetes_pod_container_port_name": port,
            "__meta_kubernetes_pod_phase": phase,
            "__meta_kubernetes_namespace": "shop",
            "__meta_kubernetes_pod_name": "ratings-v1-0",
        } })
    };
    let mut config = configuration("kubernetes.yaml")?;
    let job = &mut config["scrape_configs"][0];
    let discovery = job.as_object_mut().and_then(|job| job.remove("kubernetes_sd_configs"));
    ensure!(discovery == Some(json!([{ "role": "pod" }])), "{discovery:?}");
    job["static_configs"] = json!([
        pod("10.0.0.1:15090", "http-envoy-prom", "Running"),
        pod("[fd00::1]:15090", "http-envoy-prom", "Running"),
        pod("10.0.0.2:8080", "http", "Running"),
        pod("10.0.0.3:15090", "http-envoy-prom", "Succeeded"),
    ]);
    config["rule_files"] = json!([]);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("prometheus.json");
    std::fs::write(&path, config.to_string())?;
    let path = path.to_string_lossy();
    promtool(&prometheus, &["check", "config", &path])?;
    let told = promtool(&prometheus, &["check", "service-discovery", &path, "envoy-sidecars"])?;
    let start = told.find('[').context("no list")?;
    let found: Value = serde_json::Deserializer::from_str(&told[start..])
        .into_iter::<Value>()
        .next()
        .context("no targets")??;
    let mut kept: Vec<_> = found
        .as_array()
        .into_iter()
        .flatten()
        .map(|target| &target["labels"])
        .filter(|labels| labels.as_object().is_some_and(|labels| !labels.is_empty()))
        .map(|labels| {
            ["instance", "namespace", "pod"].map(|name| labels[name].as_str().unwrap_or(""))
        })
        .collect();
    // promtool tells them in any order.
    kept.sort_unstable();
    let expected =
        ["10.0.0.1:15090", "[fd00::1]:15090"].map(|instance| [instance, "shop", "ratings-v1-0"]);
    ensure!(kept == expected, "{kept:?} in {told}");
    Ok(())
}

fn same_relabelling() -> Result<()> {
    let [mesh, cluster] = ["prometheus.yaml", "kubernetes.yaml"].map(configuration);
    let of = |config: &Value| config["scrape_configs"][0]["metric_relabel_configs"].clone();
    let (mesh, cluster) = (of(&mesh?), of(&cluster?));
    ensure!(mesh.is_array() && mesh == cluster, "{mesh} and {cluster}");
    Ok(())
}
