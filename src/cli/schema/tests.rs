//! The schema and the core's reader know the same fields and take the same values.

use std::collections::BTreeSet;

use opmeter_core::{Diagnostic, Severity, config};
use serde_json::{Value, json};

use super::{Kind, for_editors, schema};

/// Every object of the configuration: its definition in the schema, and a configuration with a stray field in it.
const OBJECTS: &[(&str, &str)] = &[
    ("", r#"{"?": 1}"#),
    ("Attribute", r#"{"attributes": [{"?": 1}]}"#),
    ("Entry", r#"{"attributes": [{"match": [{"?": 1}]}]}"#),
    ("Operation", r#"{"attributes": [{"operations": [{"?": 1}]}]}"#),
    ("Definition", r#"{"definitions": [{"?": 1}]}"#),
    ("Override", r#"{"metrics": [{"?": 1}]}"#),
    ("Telemetry", r#"{"telemetry": {"?": 1}}"#),
    ("TelemetryMetrics", r#"{"telemetry": {"metrics": [{"?": 1}]}}"#),
    ("ProviderRef", r#"{"telemetry": {"metrics": [{"providers": [{"?": 1}]}]}}"#),
    ("MetricsOverride", r#"{"telemetry": {"metrics": [{"overrides": [{"?": 1}]}]}}"#),
    ("MetricSelector", r#"{"telemetry": {"metrics": [{"overrides": [{"match": {"?": 1}}]}]}}"#),
    (
        "TagOverride",
        r#"{"telemetry": {"metrics": [{"overrides": [{"tagOverrides": {"a": {"?": 1}}}]}]}}"#,
    ),
    ("MetadataExchange", r#"{"metadata_exchange": {"?": 1}}"#),
    ("Limits", r#"{"limits": {"?": 1}}"#),
    ("Prewarm", r#"{"prewarm": {"?": 1}}"#),
];

#[test]
fn every_field_of_the_module_is_in_the_schema_and_none_besides() {
    let schema = schema(Kind::Configuration).to_value();
    for (name, text) in OBJECTS {
        let object = if name.is_empty() { &schema } else { &schema["definitions"][name] };
        let described: BTreeSet<&str> = object["properties"]
            .as_object()
            .unwrap_or_else(|| panic!("no definition {name}"))
            .keys()
            .map(String::as_str)
            .collect();
        let (_, problems) = config::parse(text.as_bytes()).unwrap();
        let allowed = problems
            .iter()
            .find_map(|problem| problem.message.split_once("; allowed: "))
            .expect("the module names what it allows");
        let known: BTreeSet<&str> = allowed.1.split(", ").collect();
        assert_eq!(described, known, "{name}");
        assert_eq!(object["additionalProperties"], json!(false), "{name}");
    }
    let objects = schema["definitions"].as_object().unwrap().values();
    let objects = objects.filter(|definition| definition.get("properties").is_some()).count();
    assert_eq!(objects + 1, OBJECTS.len(), "every object is compared");
}

#[test]
fn every_field_is_described() {
    let schema = schema(Kind::Configuration).to_value();
    for (name, _) in OBJECTS {
        let object = if name.is_empty() { &schema } else { &schema["definitions"][name] };
        for (field, property) in object["properties"].as_object().unwrap() {
            assert!(property.get("description").is_some(), "{name}.{field} has a description");
        }
    }
}

#[track_caller]
fn both(value: &Value, expected: bool) {
    let schema = for_editors(Kind::Configuration).to_value();
    let validator = jsonschema::validator_for(&schema).unwrap();
    // What the module leaves out as what cannot have been meant; Istio's own tolerance is no matter of structure.
    let wrong = |problem: &Diagnostic| problem.severity == Severity::Error;
    let by_core = config::parse(value.to_string().as_bytes())
        .is_ok_and(|(_, problems)| !problems.iter().any(wrong));
    assert_eq!(by_core, expected, "the module on {value}");
    assert_eq!(validator.is_valid(value), expected, "the schema on {value}");
}

#[test]
fn both_take_the_same_values() {
    for value in [
        json!({}),
        json!({"attributes": [{"output_attribute": "op", "phase": "ON_REQUEST",
            "match": [{"value": "x", "condition": "true"}],
            "operations": [{"path": "/a/{b}", "method": "GET", "value": "v"}],
            "openapi": {"openapi": "3.1.0", "paths": {}}}]}),
        json!({"definitions": [{"name": "get_calls", "value": "1", "type": "COUNTER"}],
            "metrics": [{"name": "get_calls", "dimensions": {"a": "'b'"}, "tags_to_remove": ["c"], "match": "true"}]}),
        json!({"metadata_exchange": {"additional_labels": ["role"], "max_peers": 10, "skip_external": true}}),
        json!({"reporter": "SERVER_GATEWAY", "strict": true, "standard_metrics": false, "debug": "false"}),
        json!({"tcp_reporting_duration": "0.5s", "max_peer_cache_size": "20", "rotation_interval": "0s"}),
        json!({"stat_prefix": "mesh", "field_separator": "|", "value_separator": "=="}),
        json!({"standardMetrics": true, "metrics": [{"tagsToRemove": ["a"]}], "metadataExchange": {"maxPeers": 1},
            "attributes": [{"outputAttribute": "op"}]}),
        json!({"telemetry": {"provider": "prometheus", "metrics": [{"providers": [{"name": "prometheus"}],
            "reportingInterval": "10s", "overrides": [{"match": {"metric": "REQUEST_COUNT", "mode": "CLIENT"},
            "disabled": false, "tagOverrides": {"a": {"value": "'b'"}, "c": {"operation": "REMOVE"}}}]}]}}),
    ] {
        both(&value, true);
    }
}

#[test]
fn both_find_the_same_values_wrong() {
    for value in [
        json!([]),
        json!({"attribute": []}),
        json!({"attributes": {}}),
        json!({"attributes": [{"match": []}]}),
        json!({"attributes": [{"output_attribute": "op", "phase": "ON_RESPONSE"}]}),
        json!({"attributes": [{"output_attribute": "op", "match": [{"condition": "true"}]}]}),
        json!({"attributes": [{"output_attribute": "op", "operations": [{"path": "users"}]}]}),
        json!({"metrics": [{"dimensions": {"a": 1}}]}),
        json!({"metrics": [{"drop": "true"}]}),
        json!({"definitions": [{"name": "a", "value": "1", "type": "SUMMARY"}]}),
        json!({"tcp_reporting_duration": 5}),
        json!({"tcp_reporting_duration": "5m"}),
        json!({"metadata_exchange": true}),
        json!({"strict": "yes"}),
        json!({"metrics": [{"tagsToRemove": "a"}]}),
        json!({"telemetry": {"metrics": [{"reporting_interval": "10s"}]}}),
        json!({"telemetry": {"metrics": [{"overrides": [{"match": {"metric": "requests_total"}}]}]}}),
        json!({"telemetry": {"metrics": [{"overrides": [{"match": {"mode": "BOTH"}}]}]}}),
        json!({"telemetry": {"metrics": [{"overrides": [{"tagOverrides": {"a": "b"}}]}]}}),
    ] {
        both(&value, false);
    }
}

#[test]
fn the_project_has_every_field_of_the_configuration() {
    let project = schema(Kind::Project).to_value();
    let own = schema(Kind::Configuration).to_value();
    for field in own["properties"].as_object().unwrap().keys() {
        assert!(project["properties"].get(field).is_some(), "{field}");
    }
    for field in ["name", "module", "where", "stats", "dimensions"] {
        assert!(project["properties"].get(field).is_some(), "{field}");
    }
}
