//! A document as JSON: what the proxy is given in the end.

use serde_json::{Map, Value};

use super::node::{Kind, Node, Style};

// === impl Node ===

impl Node {
    /// The value as JSON. Plain scalars are read as YAML 1.2's core schema has it.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Scalar(text, Style::Plain) => plain(text),
            Kind::Scalar(text, _) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Kind::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return Value::String(text.to_owned());
    }
    let digits = text.strip_prefix('+').unwrap_or(text);
    if let Ok(number) = digits.parse::<i64>() {
        return number.into();
    }
    if let Ok(number) = digits.parse::<u64>() {
        return number.into();
    }
    let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
    let number = number.and_then(serde_json::Number::from_f64);
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::plain;

    #[test]
    fn plain_scalars_have_types() {
        for (text, value) in [
            ("1", json!(1)),
            ("-1.5", json!(-1.5)),
            ("1e3", json!(1000.0)),
            ("1.2.3", json!("1.2.3")),
            ("-", json!("-")),
            ("yes", json!("yes")),
            ("~", Value::Null),
            ("TRUE", json!(true)),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }
}
