//! The core's ports over the model of a proxy.

use crate::case::Case;
use crate::cel::{Expression, status};
use crate::check;
use crate::engine::Outcome;
use crate::metrics::Metrics;
use crate::model;
use crate::value::Value;
use opmeter_core::port::{ExprId, Failed, Host, Message, MetricId, MetricKind, Refused, Sink};
use opmeter_core::{Configured, Recorder, Stream};
use std::collections::{BTreeMap, BTreeSet};

/// A modelled proxy: expressions, and the attributes of the stream in hand.
#[derive(Debug)]
pub struct Proxy {
    root: Value,
    /// Properties that were set on the stream in hand, by name.
    published: BTreeMap<String, Vec<u8>>,
    declared: BTreeSet<String>,
    expressions: Vec<Expression>,
    /// Headers of the request that passes, by name.
    pub request_headers: BTreeMap<String, Vec<u8>>,
    /// Headers of the response that passes, by name.
    pub response_headers: BTreeMap<String, Vec<u8>>,
    /// How often each call was made, by the name of the ABI's function or foreign function.
    pub calls: BTreeMap<&'static str, u64>,
}

/// Statistics of a modelled proxy.
#[derive(Debug, Default)]
pub struct Statistics {
    /// What was defined and recorded.
    pub metrics: Metrics,
    /// How often each call was made, by the name of the ABI's function.
    pub calls: BTreeMap<&'static str, u64>,
}

// === impl Proxy ===

impl Proxy {
    /// A proxy that is being configured.
    pub fn new(attributes: Value) -> Self {
        Self {
            root: attributes,
            published: BTreeMap::new(),
            declared: BTreeSet::new(),
            expressions: Vec::new(),
            request_headers: BTreeMap::new(),
            response_headers: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    /// Headers of a message of the stream in hand.
    pub fn headers(&mut self, message: Message) -> &mut BTreeMap<String, Vec<u8>> {
        match message {
            Message::Request => &mut self.request_headers,
            Message::Response => &mut self.response_headers,
        }
    }

    /// Another phase of the same stream; what was published stays.
    pub fn advance(&mut self, attributes: Value) {
        self.root = attributes;
        for (name, value) in self.published.clone() {
            self.show(&name, &value);
        }
    }

    /// Another stream.
    pub fn next_stream(&mut self, attributes: Value) {
        self.published.clear();
        self.root = attributes;
    }

    /// What is published for the stream in hand.
    pub fn published(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.published
    }

    /// `expr_create`: a token, or `BadArgument`.
    pub fn create(&mut self, text: &str) -> Result<u32, u32> {
        self.count("expr_create");
        self.expressions.push(Expression::create(text)?);
        Ok(u32::try_from(self.expressions.len()).expect("few expressions"))
    }

    /// `expr_evaluate`.
    pub fn evaluate_token(&mut self, token: u32) -> Result<Vec<u8>, u32> {
        self.count("expr_evaluate");
        let index = usize::try_from(token).ok().and_then(|token| token.checked_sub(1));
        let expression = index.and_then(|i| self.expressions.get(i)).ok_or(status::NOT_FOUND)?;
        expression.evaluate(&self.root)
    }

    /// `proxy_get_property`; a path whose first name is no attribute is looked up among the set properties.
    pub fn property(&mut self, path: &[&str]) -> Result<Vec<u8>, u32> {
        self.count("proxy_get_property");
        self.root.at(path).map(Value::encode).ok_or(status::NOT_FOUND)
    }

    /// `proxy_set_property`: filter state `wasm.NAME`, which is also `NAME`.
    pub fn set_property(&mut self, name: &str, value: &[u8]) {
        self.count("proxy_set_property");
        self.published.insert(name.to_owned(), value.to_vec());
        self.show(name, value);
    }

    /// `declare_property`: the property holds text.
    pub fn declare_text(&mut self, name: &str) {
        self.count("declare_property");
        self.declared.insert(name.to_owned());
    }

    fn show(&mut self, name: &str, value: &[u8]) {
        let value = value.to_vec();
        let value =
            if self.declared.contains(name) { Value::Str(value) } else { Value::Bytes(value) };
        if let Value::Map(fields) = &mut self.root {
            if let Some(state) = fields.get_mut("filter_state") {
                state.set(&format!("wasm.{name}"), value.clone());
            }
            fields.insert(name.to_owned(), value);
        }
    }

    fn count(&mut self, call: &'static str) {
        *self.calls.entry(call).or_default() += 1;
    }
}

impl Host for Proxy {
    fn compile(&mut self, expression: &str) -> Result<ExprId, Refused> {
        self.create(expression).map(ExprId).map_err(|_| Refused)
    }

    fn evaluate(&mut self, expression: ExprId, out: &mut Vec<u8>) -> Result<(), Failed> {
        out.extend(self.evaluate_token(expression.0).map_err(Failed)?);
        Ok(())
    }

    fn attribute(&mut self, path: &str, out: &mut Vec<u8>) -> Result<(), Failed> {
        let segments: Vec<&str> = path.split('\0').collect();
        out.extend(self.property(&segments).map_err(Failed)?);
        Ok(())
    }

    fn node(&mut self, path: &[&str]) -> Option<Vec<u8>> {
        self.property(&[&["xds", "node"], path].concat()).ok()
    }

    fn declare(&mut self, name: &str) -> Result<(), Failed> {
        self.declare_text(name);
        Ok(())
    }

    fn publish(&mut self, name: &str, value: &[u8]) -> Result<(), Failed> {
        self.set_property(name, value);
        Ok(())
    }

    fn header(&mut self, message: Message, name: &str) -> Result<Option<Vec<u8>>, Failed> {
        Ok(self.headers(message).get(name).cloned())
    }

    fn remove_header(&mut self, message: Message, name: &str) -> Result<(), Failed> {
        self.headers(message).remove(name);
        Ok(())
    }

    fn set_header(&mut self, message: Message, name: &str, value: &[u8]) -> Result<(), Failed> {
        self.headers(message).insert(name.to_owned(), value.to_vec());
        Ok(())
    }
}

// === impl Statistics ===

impl Statistics {
    fn count(&mut self, call: &'static str) {
        *self.calls.entry(call).or_default() += 1;
    }
}

impl Sink for Statistics {
    fn define(&mut self, kind: MetricKind, name: &str) -> Result<MetricId, Failed> {
        self.count("proxy_define_metric");
        Ok(MetricId(self.metrics.define(kind, name)))
    }

    fn increment(&mut self, metric: MetricId, delta: i64) -> Result<(), Failed> {
        self.count("proxy_increment_metric");
        check::done(self.metrics.increment(metric.0, delta)).map_err(Failed)
    }

    fn record(&mut self, metric: MetricId, value: u64) -> Result<(), Failed> {
        self.count("proxy_record_metric");
        check::done(self.metrics.record(metric.0, value)).map_err(Failed)
    }
}

/// Runs a case on the core.
pub fn run(case: &Case) -> Outcome {
    let mut proxy = Proxy::new(model::configuring(&case.node));
    let mut statistics = Statistics::default();
    let configured = opmeter_core::configure(case.config.as_bytes(), &mut proxy);
    let Configured { plan, warnings } = match configured {
        Ok(configured) => configured,
        Err(problems) => {
            let refused = Some(problems.iter().map(ToString::to_string).collect());
            return Outcome { refused, ..Outcome::default() };
        }
    };
    opmeter_core::record::count_config_errors(warnings.len(), &mut statistics);
    let mut recorder = Recorder::new(plan, &mut proxy, &mut statistics);
    for request in &case.requests {
        for _ in 0..request.count {
            let mut stream = Stream::default();
            proxy.next_stream(model::at_request(case, request));
            recorder.on_request(&mut stream, &mut proxy, &mut statistics);
            proxy.advance(model::at_log(case, request));
            recorder.on_log(&mut stream, &mut proxy, &mut statistics);
        }
    }
    Outcome {
        refused: None,
        log: warnings.iter().map(ToString::to_string).collect(),
        series: statistics.metrics.series(),
    }
}
