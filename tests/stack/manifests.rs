//! Manifests against the operator's own types: nothing is missing, nothing is unknown, nothing is of another kind.

use crate::files::Test;
use crate::mesh::configuration;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use kcr_monitoring_coreos_com::v1::alertmanagers::AlertmanagerSpec;
use kcr_monitoring_coreos_com::v1::podmonitors::PodMonitor;
use kcr_monitoring_coreos_com::v1::prometheuses::PrometheusSpec;
use kcr_monitoring_coreos_com::v1::prometheusrules::PrometheusRule;
use kcr_monitoring_coreos_com::v1::servicemonitors::ServiceMonitor;
use kcr_monitoring_coreos_com::v1alpha1::alertmanagerconfigs::AlertmanagerConfig;
use libtest_mimic::{Failed, Trial};
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned};
use serde_json::{Value, json};
use support::module::workspace;

pub fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 4] = [
        ("resources_have_the_operators_types", resources),
        ("monitors_keep_what_the_plain_scrape_keeps", relabelling),
        ("chart_values_fit_the_operators_types", values),
        ("the_rule_resource_holds_the_plain_rules", rules),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(format!("manifests::{name}"), move || {
                test().map_err(|error| Failed::from(format!("{error:#}")))
            })
        })
        .collect()
}

fn documents(name: &str) -> Result<Vec<Value>> {
    let path = workspace().join("istio-manifests/monitoring").join(name);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents.map(|document| Value::deserialize(document).context("not YAML")).collect()
}

fn resources() -> Result<()> {
    let files = std::fs::read_dir(workspace().join("istio-manifests/monitoring"))?;
    let mut seen = 0;
    for file in files {
        let name = file?.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".yaml") || name.contains("values") {
            continue;
        }
        for document in documents(&name)? {
            resource(&document).with_context(|| name.clone())?;
            seen += 1;
        }
    }
    ensure!(seen == 5, "{seen} resources");
    Ok(())
}

fn resource(document: &Value) -> Result<()> {
    let kind = [&document["apiVersion"], &document["kind"]].map(|v| v.as_str().unwrap_or_default());
    match kind {
        ["monitoring.coreos.com/v1", "PodMonitor"] => typed::<PodMonitor>(document),
        ["monitoring.coreos.com/v1", "ServiceMonitor"] => typed::<ServiceMonitor>(document),
        ["monitoring.coreos.com/v1", "PrometheusRule"] => typed::<PrometheusRule>(document),
        ["monitoring.coreos.com/v1alpha1", "AlertmanagerConfig"] => {
            typed::<AlertmanagerConfig>(document)
        }
        ["v1", "Service"] => typed::<Service>(document),
        other => anyhow::bail!("no type for {other:?}"),
    }
}

/// What a type does not know it drops, so only a value it knows wholly comes back as it was.
fn typed<T: DeserializeOwned + Serialize>(value: &Value) -> Result<()> {
    let read: T = serde_json::from_value(value.clone())?;
    let written = serde_json::to_value(read)?;
    ensure!(&written == value, "read as {written:#}\nwritten {value:#}");
    Ok(())
}

fn relabelling() -> Result<()> {
    let plain = configuration("kubernetes.yaml")?;
    let plain = &plain["scrape_configs"][0]["metric_relabel_configs"];
    let pods = &documents("pod-monitor.yaml")?[0]["spec"]["podMetricsEndpoints"][0];
    let gateways = &documents("service-monitor-gateway.yaml")?[1]["spec"]["endpoints"][0];
    for endpoint in [pods, gateways] {
        let kept = &endpoint["metricRelabelings"];
        for (own, other) in
            [("sourceLabels", "source_labels"), ("regex", "regex"), ("action", "action")]
        {
            ensure!(!plain[0][other].is_null() && kept[0][own] == plain[0][other], "{kept}");
        }
    }
    Ok(())
}

/// The chart hands most of these on as they are; what is the chart's own is left out here.
fn values() -> Result<()> {
    let values = documents("kube-prometheus-stack-values.yaml")?.remove(0);
    let mut prometheus = values["prometheus"]["prometheusSpec"].clone();
    let fields = prometheus.as_object_mut().context("no prometheusSpec")?;
    for kind in ["podMonitor", "serviceMonitor", "rule"] {
        let name = format!("{kind}SelectorNilUsesHelmValues");
        ensure!(fields.remove(&name) == Some(json!(false)), "{name}");
    }
    let storage = fields.remove("storageSpec").context("no storageSpec")?;
    fields.insert("storage".to_owned(), storage);
    typed::<PrometheusSpec>(&prometheus)?;
    typed::<AlertmanagerSpec>(&values["alertmanager"]["alertmanagerSpec"])
}

fn rules() -> Result<()> {
    let resource = documents("prometheus-rule.yaml")?.remove(0);
    let plain = configuration("rules/opmeter.yaml")?;
    ensure!(plain["groups"].is_array() && resource["spec"]["groups"] == plain["groups"]);
    Ok(())
}
