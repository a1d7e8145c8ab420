//! Plugin configurations.

use crate::traffic::template;
use serde_json::{Value, json};

/// Nothing but the standard metrics.
pub const PLAIN: &str = "{}";

/// The same with room for as many label sets as are measured.
pub const UNLIMITED: &str = r#"{"limits": {"max_series": 100000}}"#;

/// Whether a configuration has the metadata exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    Off,
    On,
}

/// Adds the exchange to a configuration.
pub fn with(exchange: Exchange, mut config: Value) -> String {
    if exchange == Exchange::On {
        config["metadata_exchange"] = json!({});
    }
    config.to_string()
}

/// Three operations that every path of the traffic is one of.
pub fn three() -> Value {
    let path = "/api/{service}/{resource}/{id}";
    let operations = ["GET", "POST", "DELETE"].map(|method| {
        json!({ "value": format!("operation-{}", method.len() % 3), "method": method, "path": path })
    });
    labelled(&json!(operations))
}

/// Many operations that share three values: what differs from [`three`] is how many there are, not how many series.
pub fn many(count: usize) -> Value {
    let operations = (0..count).map(|i| {
        json!({ "value": format!("operation-{}", i % 3), "method": "GET", "path": template(i) })
    });
    labelled(&operations.collect())
}

/// Many operations, each with a value of its own.
pub fn distinct(count: usize) -> Value {
    let operations = (0..count).map(|i| {
        let value = format!("Service{:03}Resource{:03}Get", i / 100, i % 100);
        json!({ "value": value, "method": "GET", "path": template(i) })
    });
    labelled(&operations.collect())
}

fn labelled(operations: &Value) -> Value {
    json!({
        "attributes": [{ "output_attribute": "istio_operation_id", "operations": operations }],
        "metrics": [{ "dimensions": { "request_operation": "istio_operation_id" } }],
    })
}

/// Conditions as AttributeGen evaluates them, of which none holds: the host looks at all of them.
pub fn conditions(count: usize) -> Vec<String> {
    let condition = |i| {
        format!(
            "request.url_path.matches('^/api/service-{i:03}/none-[0-9]+$') && request.method == 'GET'"
        )
    };
    (0..count).map(condition).collect()
}
