//! Where alerts go: Alertmanager's own tool reads the example as the Prometheus operator would write it, and tells the receiver
//! of each alert that the mesh's Prometheus fires.

use crate::Shared;
use crate::mesh::Stack;
use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use opmeter_boards::answer::Series;
use serde::de::Deserialize;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use support::module::workspace;

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.trial("pager::a_fast_burn_pages_and_a_slow_one_opens_a_ticket", routed)]
}

/// The tool to test with: `OPMETER_AMTOOL`. Without one its tests pass without a run, and say so, unless
/// `OPMETER_REQUIRE_ENVOY` is set.
fn binary() -> Result<Option<PathBuf>> {
    match std::env::var_os("OPMETER_AMTOOL") {
        Some(path) => Ok(Some(path.into())),
        None if std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some() => {
            bail!("OPMETER_AMTOOL is not set")
        }
        None => {
            eprintln!("SKIPPED: OPMETER_AMTOOL is not set, no alert was routed");
            Ok(None)
        }
    }
}

async fn routed(stack: Arc<Stack>) -> Result<()> {
    let Some(amtool) = binary()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("alertmanager.json");
    std::fs::write(&config, example()?.to_string())?;
    let burning = r#"ALERTS{alertname="OpmeterReadBudgetBurn", request_operation="get_items"}"#;
    let alerts = stack.prometheus.when(burning).await?;
    let mut found: Vec<(String, String)> = Vec::new();
    for alert in &alerts {
        found.push((alert.label("window").to_owned(), receiver(&amtool, &config, alert)?));
    }
    found.sort();
    let expected = [
        ("1d", "mesh-tickets"),
        ("1h", "mesh-pager"),
        ("3d", "mesh-tickets"),
        ("6h", "mesh-pager"),
    ];
    let expected = expected.map(|(window, name)| (window.to_owned(), name.to_owned()));
    ensure!(found == expected, "{found:?}");
    // What is not about this mesh is nobody's here.
    let other = stack.prometheus.now(r#"label_replace(up, "alertname", "Else", "", "")"#).await?;
    let other = receiver(&amtool, &config, other.first().context("nothing is up")?)?;
    ensure!(other == "null", "{other}");
    Ok(())
}

/// Who is told of an alert with these labels.
fn receiver(amtool: &Path, config: &Path, alert: &Series) -> Result<String> {
    let labels = alert.labels.iter().map(|(name, value)| format!("{name}={value:?}"));
    let output = Command::new(amtool)
        .args(["config", "routes", "test", "--config.file"])
        .arg(config)
        .args(labels)
        .output()
        .with_context(|| format!("cannot run {}", amtool.display()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "amtool: {told}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Alertmanager's own configuration out of `alertmanager-config.yaml`: its route below one that takes the rest.
fn example() -> Result<Value> {
    let file = workspace().join("istio-manifests/monitoring/alertmanager-config.yaml");
    let text = std::fs::read_to_string(file)?;
    let document = Value::deserialize(serde_yaml_ng::Deserializer::from_str(&text))?;
    let mut spec = own(&document["spec"])?;
    let receivers = spec["receivers"].as_array_mut().context("no receivers")?;
    receivers.push(json!({ "name": "null" }));
    let route = json!({ "receiver": "null", "routes": [spec["route"]] });
    Ok(json!({
        "route": route, "receivers": spec["receivers"], "inhibit_rules": spec["inhibit_rules"],
    }))
}

/// A value of the operator's in Alertmanager's words: `groupBy` is `group_by`, a matcher is a text, and a secret is read.
fn own(value: &Value) -> Result<Value> {
    Ok(match value {
        Value::Object(fields) => {
            let mut written = Map::new();
            for (name, value) in fields {
                let (name, value) = match name.as_str() {
                    "matchers" => ("matchers".to_owned(), matchers(value)?),
                    "sourceMatch" => ("source_matchers".to_owned(), matchers(value)?),
                    "targetMatch" => ("target_matchers".to_owned(), matchers(value)?),
                    "routingKey" => ("routing_key".to_owned(), "a-secret".into()),
                    // Nobody listens there: nothing is sent.
                    "urlSecret" => ("url".to_owned(), "http://127.0.0.1:9/".into()),
                    _ => (snake(name), own(value)?),
                };
                written.insert(name, value);
            }
            Value::Object(written)
        }
        Value::Array(items) => items.iter().map(own).collect::<Result<_>>()?,
        other => other.clone(),
    })
}

fn matchers(value: &Value) -> Result<Value> {
    let all = value.as_array().context("no list of matchers")?;
    all.iter()
        .map(|one| match ["name", "matchType", "value"].map(|part| one[part].as_str()) {
            [Some(name), Some(kind), Some(value)] => {
                Ok(Value::String(format!("{name}{kind}{value:?}")))
            }
            _ => bail!("{one} is no matcher"),
        })
        .collect()
}

fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
        text
    })
}
