//! Filter state that a case takes for granted, set by Envoy's own filters.

use super::bootstrap::TYPES;
use crate::case::Case;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// # Errors
/// When it holds an Istio peer: the public Envoy has no filter that leaves one.
pub(super) fn check(case: &Case) -> Result<()> {
    let texts = case.filter_state.values().all(toml::Value::is_str);
    ensure!(texts, "a real Envoy can be given text as filter state, nothing else");
    Ok(())
}

/// The HTTP filter that sets it.
pub(super) fn http_filter(case: &Case) -> Option<Value> {
    filter(case, "http", "on_request_headers")
}

/// The network filter that sets it.
pub(super) fn network_filter(case: &Case) -> Option<Value> {
    filter(case, "network", "on_new_connection")
}

fn filter(case: &Case, kind: &str, event: &str) -> Option<Value> {
    let values: Vec<Value> =
        case.filter_state.iter().map(|(key, value)| object(key, value)).collect();
    let configuration = json!({
        "@type": format!("{TYPES}.{kind}.set_filter_state.v3.Config"),
        event: values,
    });
    let name = format!("envoy.filters.{kind}.set_filter_state");
    (!values.is_empty()).then(|| json!({ "name": name, "typed_config": configuration }))
}

fn object(key: &str, value: &toml::Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    json!({
        "object_key": key,
        "factory_key": "envoy.string",
        "format_string": { "text_format_source": { "inline_string": text } },
    })
}
