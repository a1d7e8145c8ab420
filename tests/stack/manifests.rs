//! Manifests against the operator's own types: nothing is missing, nothing is unknown, nothing is of another kind.

use crate::compose::{program, run};
use crate::files::Test;
use crate::mesh::configuration;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use libtest_mimic::{Failed, Trial};
use serde::de::Deserialize;
use serde_json::{Value, json};
use std::process::Command;
use support::module::workspace;

/// Reads resources into the operator's types and writes them again: what a type does not know is lost on the way.
const ROUND_TRIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stack/resources.py");

pub fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 5] = [
        ("resources_have_the_operators_types", resources),
        ("what_the_operator_does_not_know_is_named", wrong),
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

/// Version, kind and value of what is held against the operator's types.
type Typed<'a> = (&'a str, &'a str, &'a Value);

fn resources() -> Result<()> {
    let files = std::fs::read_dir(workspace().join("istio-manifests/monitoring"))?;
    let mut all = Vec::new();
    for file in files {
        let name = file?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yaml") && !name.contains("values") {
            all.extend(documents(&name)?);
        }
    }
    let (services, operators): (Vec<_>, Vec<_>) =
        all.iter().partition(|document| document["apiVersion"] == "v1");
    ensure!((services.len(), operators.len()) == (1, 4), "{all:#?}");
    let service: Service = serde_json::from_value(services[0].clone())?;
    ensure!(&serde_json::to_value(service)? == services[0], "{}", services[0]);
    let typed: Vec<Typed<'_>> = operators.into_iter().map(resource).collect::<Result<_>>()?;
    typed_by_the_operator(&typed)
}

fn resource(document: &Value) -> Result<Typed<'_>> {
    let version = document["apiVersion"].as_str().context("no apiVersion")?;
    let version = version.strip_prefix("monitoring.coreos.com/").context(version.to_owned())?;
    Ok((version, document["kind"].as_str().context("no kind")?, document))
}

fn typed_by_the_operator(typed: &[Typed<'_>]) -> Result<()> {
    let Some(python) = program("operator/bin/python")? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("resources.json");
    std::fs::write(&file, serde_json::to_vec(typed)?)?;
    run(Command::new(python).args(["-B", ROUND_TRIP]).stdin(std::fs::File::open(file)?)).map(|_| ())
}

fn wrong() -> Result<()> {
    if program("operator/bin/python")?.is_none() {
        return Ok(());
    }
    let mut monitor = documents("pod-monitor.yaml")?.remove(0);
    monitor["spec"]["podMetricsEndpoints"][0]["metricRelabelling"] = json!([]);
    let mut route = documents("alertmanager-config.yaml")?.remove(0);
    route["spec"]["route"]["matchers"][0]["matchType"] = "~".into();
    let mut rule = documents("prometheus-rule.yaml")?.remove(0);
    rule["spec"]["groups"][0]["rules"][0]["expr"] = Value::Null;
    let typed = [resource(&monitor)?, resource(&route)?, resource(&rule)?];
    let refused = typed_by_the_operator(&typed).err().context("all three are taken")?.to_string();
    for told in [
        "spec.podMetricsEndpoints[0].metricRelabelling is unknown to the operator",
        "spec.route.matchers.0.matchType\n  Input should be '!=', '=', '=~' or '!~'",
        "spec.groups.0.rules.0.expr",
    ] {
        ensure!(refused.contains(told), "{refused}");
    }
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
    typed_by_the_operator(&[
        ("v1", "PrometheusSpec", &prometheus),
        ("v1", "AlertmanagerSpec", &values["alertmanager"]["alertmanagerSpec"]),
    ])
}

fn rules() -> Result<()> {
    let resource = documents("prometheus-rule.yaml")?.remove(0);
    let plain = configuration("rules/opmeter.yaml")?;
    ensure!(plain["groups"].is_array() && resource["spec"]["groups"] == plain["groups"]);
    Ok(())
}
