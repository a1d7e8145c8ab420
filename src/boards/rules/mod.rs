//! Recording rules and alerts, as Prometheus' rule files and as the operator's `PrometheusRule`.

mod alerts;
mod operations;
mod slo;

use serde::Serialize;
use std::collections::BTreeMap;

/// Labels that tell one operation of one service.
const OPERATION: &str = "destination_service, destination_service_namespace, request_operation";

/// Selects answers that are no server error: no 5xx, no missing answer (0), and none of the gRPC statuses that are the
/// server's fault: unknown 2, deadline 4, unimplemented 12, internal 13, unavailable 14, data loss 15.
const GOOD: &str = r#"response_code!~"5..|0", grpc_response_status!~"2|4|12|13|14|15""#;

/// Rules that are evaluated one after the other.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<&'static str>,
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Rule {
    /// A series made from others.
    Record {
        /// Name of the series.
        record: String,
        /// What it is made from.
        expr: String,
    },
    /// Something a person has to look at.
    Alert(Alert),
}

/// An alert.
#[derive(Clone, Debug, Serialize)]
pub struct Alert {
    alert: &'static str,
    expr: String,
    /// How long `expr` has to hold.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    hold: Option<&'static str>,
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
}

// === impl Group ===

impl Group {
    /// Its name in the rule file.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Its rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

// === impl Rule ===

impl Rule {
    fn record(name: &str, expr: impl Into<String>) -> Self {
        Self::Record { record: name.to_owned(), expr: expr.into() }
    }

    /// Name of the series or of the alert.
    pub fn name(&self) -> &str {
        match self {
            Self::Record { record, .. } => record,
            Self::Alert(alert) => alert.alert,
        }
    }
}

/// All groups.
pub fn groups() -> Vec<Group> {
    vec![operations::group(), slo::group(), alerts::group()]
}

/// The rule file of a plain Prometheus.
///
/// # Errors
/// When the rules cannot be written as YAML.
pub fn plain() -> Result<String, serde_yaml_ng::Error> {
    #[derive(Serialize)]
    struct File {
        groups: Vec<Group>,
    }
    Ok(format!("{}{}", header("#"), serde_yaml_ng::to_string(&File { groups: groups() })?))
}

/// The same rules for the Prometheus operator.
///
/// # Errors
/// When the rules cannot be written as YAML.
pub fn custom_resource() -> Result<String, serde_yaml_ng::Error> {
    let value = serde_json::json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": "opmeter",
            "namespace": "istio-system",
            "labels": { "release": "kube-prometheus-stack" },
        },
        "spec": { "groups": groups() },
    });
    Ok(format!("{}{}", header("#"), serde_yaml_ng::to_string(&value)?))
}

fn header(comment: &str) -> String {
    format!("{comment} Written by `make generated` from src/boards/rules; change it there.\n\n")
}
