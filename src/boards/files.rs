//! Files of the repository that are written from code.

use crate::{dashboard, rules};
use anyhow::Result;

/// Each file, relative to the repository's root, and what stands in it.
///
/// # Errors
/// When something cannot be written as YAML or JSON.
pub fn all() -> Result<Vec<(String, String)>> {
    let mut files = vec![
        ("envoy/prometheus/rules/opmeter.yaml".to_owned(), rules::plain()?),
        ("istio-manifests/monitoring/prometheus-rule.yaml".to_owned(), rules::custom_resource()?),
    ];
    for board in dashboard::all() {
        let json = serde_json::to_string_pretty(&board.to_grafana())?;
        files.push((format!("envoy/grafana/dashboards/{}.json", board.uid), json + "\n"));
    }
    Ok(files)
}
