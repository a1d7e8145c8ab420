//! A proxy of one request: evaluates by the `cel` crate what Envoy would, and keeps what is counted.

use std::collections::HashMap;
use std::sync::Arc;

use cel::Context;
use opmeter_core::port::{
    Content, ExprId, Failed, Host, Message, MetricId, MetricKind, Refused, Sink,
};
use serde_json::Value;

use crate::expression::Expression;

/// proxy-wasm ABI 0.2.1: `NotFound`, `BadArgument`, `InternalFailure`.
const NOT_FOUND: Failed = Failed(1);
const BAD_ARGUMENT: Failed = Failed(2);
const INTERNAL_FAILURE: Failed = Failed(10);

/// The proxy.
#[derive(Debug)]
pub struct Model {
    root: Value,
    expressions: Vec<Expression>,
    passing: Option<Message>,
    /// What was published, by name.
    pub published: Vec<(String, String)>,
}

/// Its statistics.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Kind, stat name, and what was recorded, in the order they were defined.
    pub metrics: Vec<(MetricKind, String, Option<i128>)>,
    shared: HashMap<String, Vec<u8>>,
}

// === impl Model ===

impl Model {
    /// A proxy with the attributes of a request.
    /// The route has rewritten the request to that of another model.
    pub fn rewrite(&mut self, sent: &Self) {
        self.root["request"] = sent.root["request"].clone();
    }

    pub fn new(root: Value) -> Self {
        Self { root, expressions: Vec::new(), passing: None, published: Vec::new() }
    }

    /// Whose headers pass.
    pub fn pass(&mut self, message: Option<Message>) {
        self.passing = message;
    }

    /// The value of an expression; `None` when it has none.
    pub fn value(&self, expression: &Expression) -> Option<cel::Value> {
        let mut context = Context::default();
        for (name, value) in self.root.as_object().into_iter().flatten() {
            context.add_variable_from_value(name.as_str(), to_cel(value));
        }
        expression.evaluate(&context)
    }

    fn headers(&mut self, message: Message) -> Result<&mut Value, Failed> {
        if self.passing != Some(message) {
            return Err(BAD_ARGUMENT);
        }
        let side = if message == Message::Request { "request" } else { "response" };
        Ok(&mut self.root[side]["headers"])
    }
}

impl Host for Model {
    fn compile(&mut self, expression: &str) -> Result<ExprId, Refused> {
        self.expressions.push(Expression::parse(expression).ok_or(Refused)?);
        u32::try_from(self.expressions.len() - 1).map(ExprId).map_err(|_| Refused)
    }

    fn evaluate(&mut self, expression: ExprId, out: &mut Vec<u8>) -> Result<(), Failed> {
        let expression = self.expressions.get(expression.0 as usize).ok_or(NOT_FOUND)?;
        let value = self.value(expression).ok_or(INTERNAL_FAILURE)?;
        encode(&value, out).ok_or(INTERNAL_FAILURE)
    }

    fn attribute(&mut self, path: &str, out: &mut Vec<u8>) -> Result<(), Failed> {
        let step = |value: &'_ Value, name: &str| -> Option<Value> {
            match value {
                Value::Array(items) => items.get(name.parse::<usize>().ok()?).cloned(),
                _ => value.get(name).cloned(),
            }
        };
        let found = path.split('\0').try_fold(self.root.clone(), |value, name| step(&value, name));
        encode(&to_cel(&found.ok_or(NOT_FOUND)?), out).ok_or(INTERNAL_FAILURE)
    }

    fn node(&mut self, path: &[&str]) -> Option<Vec<u8>> {
        let found =
            path.iter().try_fold(&self.root["xds"]["node"], |value, name| value.get(name))?;
        match found {
            Value::String(text) => Some(text.clone().into_bytes()),
            other => Some(other.to_string().into_bytes()),
        }
    }

    fn declare(&mut self, _: &str, _: Content) -> Result<(), Failed> {
        Ok(())
    }

    fn publish(&mut self, name: &str, value: &[u8]) -> Result<(), Failed> {
        let text = String::from_utf8_lossy(value).into_owned();
        self.root["filter_state"][format!("wasm.{name}")] = text.clone().into();
        self.published.push((name.to_owned(), text));
        Ok(())
    }

    fn header(&mut self, message: Message, name: &str) -> Result<Option<Vec<u8>>, Failed> {
        let value = self.headers(message)?.get(name).and_then(Value::as_str);
        Ok(value.map(|value| value.as_bytes().to_vec()))
    }

    fn remove_header(&mut self, message: Message, name: &str) -> Result<(), Failed> {
        if let Value::Object(headers) = self.headers(message)? {
            headers.remove(name);
        }
        Ok(())
    }

    fn set_header(&mut self, message: Message, name: &str, value: &[u8]) -> Result<(), Failed> {
        self.headers(message)?[name] = String::from_utf8_lossy(value).into();
        Ok(())
    }
}

impl Sink for Statistics {
    fn shared(&mut self, name: &str, out: &mut Vec<u8>) -> Result<Option<u32>, Failed> {
        let Some(value) = self.shared.get(name) else { return Ok(None) };
        out.extend_from_slice(value);
        Ok(Some(1))
    }

    /// Nobody else changes what one worker shares with itself.
    fn share(&mut self, name: &str, value: &[u8], _: Option<u32>) -> Result<bool, Failed> {
        self.shared.insert(name.to_owned(), value.to_vec());
        Ok(true)
    }

    fn define(&mut self, kind: MetricKind, name: &str) -> Result<MetricId, Failed> {
        self.metrics.push((kind, name.to_owned(), None));
        u32::try_from(self.metrics.len() - 1).map(MetricId).map_err(|_| NOT_FOUND)
    }

    fn increment(&mut self, metric: MetricId, delta: i64) -> Result<(), Failed> {
        let metric = self.metrics.get_mut(metric.0 as usize).ok_or(NOT_FOUND)?;
        *metric.2.get_or_insert(0) += i128::from(delta);
        Ok(())
    }

    fn record(&mut self, metric: MetricId, value: u64) -> Result<(), Failed> {
        self.metrics.get_mut(metric.0 as usize).ok_or(NOT_FOUND)?.2 = Some(value.into());
        Ok(())
    }
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(flag) => cel::Value::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(number) => cel::Value::Int(number),
            None => cel::Value::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        Value::Array(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(fields) => {
            let fields: HashMap<String, cel::Value> =
                fields.iter().map(|(name, value)| (name.clone(), to_cel(value))).collect();
            fields.into()
        }
    }
}

/// As Envoy hands a value to a module (`opmeter_core::attribute::decode`).
fn encode(value: &cel::Value, out: &mut Vec<u8>) -> Option<()> {
    match value {
        cel::Value::String(text) => out.extend_from_slice(text.as_bytes()),
        cel::Value::Bytes(bytes) => out.extend_from_slice(bytes),
        cel::Value::Int(number) => out.extend_from_slice(&number.to_le_bytes()),
        cel::Value::UInt(number) => out.extend_from_slice(&number.to_le_bytes()),
        cel::Value::Float(number) => out.extend_from_slice(&number.to_le_bytes()),
        cel::Value::Bool(flag) => out.push(u8::from(*flag)),
        cel::Value::List(items) => {
            let items = items.iter().map(|item| Some((encoded(item)?, Vec::new())));
            pairs(&items.collect::<Option<Vec<_>>>()?, out)?;
        }
        cel::Value::Map(map) => {
            let fields = map.map.iter();
            let fields =
                fields.map(|(key, value)| Some((key.to_string().into_bytes(), encoded(value)?)));
            pairs(&fields.collect::<Option<Vec<_>>>()?, out)?;
        }
        _ => return None,
    }
    Some(())
}

fn encoded(value: &cel::Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    encode(value, &mut out)?;
    Some(out)
}

fn pairs(items: &[(Vec<u8>, Vec<u8>)], out: &mut Vec<u8>) -> Option<()> {
    let length = |n: usize| u32::try_from(n).ok().map(u32::to_le_bytes);
    out.extend(length(items.len())?);
    for (key, value) in items {
        out.extend(length(key.len())?);
        out.extend(length(value.len())?);
    }
    for (key, value) in items {
        out.extend_from_slice(key);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    Some(())
}
