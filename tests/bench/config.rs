//! Plugin configurations.

use crate::traffic::template;
use serde_json::{Value, json};

/// Nothing but the standard metrics.
pub const PLAIN: &str = "{}";

/// The same with room for as many label sets as are measured.
pub const UNLIMITED: &str = r#"{"limits": {"max_series": 100000}}"#;

const VALUES: [&str; 3] = ["operation-0", "operation-1", "operation-2"];

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

/// Three operations; every path of the traffic is one of them.
pub fn three() -> Value {
    let resources = ["resource-00{n}", "resource-01{n}", "{resource}"];
    let operations = resources.iter().zip(VALUES).map(|(resource, value)| {
        json!({ "value": value, "method": "GET", "path": format!("/api/{{service}}/{resource}/{{id}}") })
    });
    labelled(&operations.collect())
}

/// Many operations, by which every path has the value that it has by [`three`]: what differs is how many there are, not
/// what is counted.
pub fn many(count: usize) -> Value {
    let value = |i: usize| VALUES[(i % 100 / 10).min(2)];
    let operations =
        (0..count).map(|i| json!({ "value": value(i), "method": "GET", "path": template(i) }));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{OPERATIONS, path};
    use opmeter_core::operation::{Template, Tree};

    fn values(config: &Value) -> (Tree, Vec<String>) {
        let mut tree = Tree::default();
        let mut values = Vec::new();
        let operations = config["attributes"][0]["operations"].as_array().unwrap();
        for (number, operation) in operations.iter().enumerate() {
            let template = Template::parse(operation["path"].as_str().unwrap()).unwrap();
            tree.insert(operation["method"].as_str(), &template, number as u32).unwrap();
            values.push(operation["value"].as_str().unwrap().to_owned());
        }
        (tree, values)
    }

    #[test]
    fn three_and_many_count_the_same() {
        let (few, few_values) = values(&three());
        let (many, many_values) = values(&many(OPERATIONS));
        for operation in 0..OPERATIONS {
            let path = path(operation);
            let of = |tree: &Tree, values: &[String]| {
                values[tree.find(b"GET", path.as_bytes()).unwrap() as usize].clone()
            };
            assert_eq!(of(&few, &few_values), of(&many, &many_values), "{path}");
        }
    }
}
