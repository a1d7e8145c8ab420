//! The core's ports over the model of a proxy.

use crate::case::{Case, Connection, Request};
use crate::cel::{Expression, status};
use crate::check;
use crate::engine::{Headers, Mount, Outcome, Passed};
use crate::metrics::Metrics;
use crate::model;
use crate::shared::SharedData;
use crate::value::Value;
use opmeter_core::port::{
    Content, ExprId, Failed, Host, Message, MetricId, MetricKind, Refused, Sink,
};
use opmeter_core::record::{Verdict, count_configuration};
use opmeter_core::{Configured, Diagnostic, Recorder, Share, Stream, Unusable};
use std::collections::BTreeMap;

/// A modelled proxy: expressions, and the attributes of the stream in hand.
#[derive(Debug)]
pub struct Proxy {
    root: Value,
    /// Properties that were set on the stream in hand, by name.
    published: BTreeMap<String, Vec<u8>>,
    declared: BTreeMap<String, Content>,
    expressions: Vec<Expression>,
    /// Attributes of the plugin while the timer fires: expressions know nothing else then.
    plugin: Option<Value>,
    /// Whether an entry of an access log is all there is of the stream in hand: nothing can be published for it.
    logged: bool,
    /// Attributes of the stream while properties are those of the plugin.
    parked: Option<Value>,
    request_headers: Headers,
    response_headers: Headers,
    /// Whose headers pass: they can be touched only then.
    passing: Option<Message>,
    /// How often each call was made, by the name of the ABI's function or foreign function.
    pub calls: BTreeMap<&'static str, u64>,
}

/// Statistics of a modelled proxy.
#[derive(Debug, Default)]
pub struct Statistics {
    /// What was defined and recorded.
    pub metrics: Metrics,
    /// What it shares with other workers.
    pub shared: SharedData,
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
            declared: BTreeMap::new(),
            expressions: Vec::new(),
            plugin: None,
            logged: false,
            parked: None,
            request_headers: BTreeMap::new(),
            response_headers: BTreeMap::new(),
            passing: None,
            calls: BTreeMap::new(),
        }
    }

    /// Headers of a message, in the phase in which they pass.
    ///
    /// # Errors
    /// `BadArgument` in any other phase, as in Envoy.
    pub fn headers(&mut self, message: Message) -> Result<&mut Headers, u32> {
        match message {
            _ if self.passing != Some(message) => Err(status::BAD_ARGUMENT),
            Message::Request => Ok(&mut self.request_headers),
            Message::Response => Ok(&mut self.response_headers),
        }
    }

    /// The headers behind the proxy.
    pub fn passed(&self, case: &Case, request: &Request) -> Passed {
        let status = case.response_to(request).status;
        Passed {
            upstream: Some(self.request_headers.clone()),
            client: (status != 0).then(|| self.response_headers.clone()),
        }
    }

    /// Another stream, whose request headers pass.
    pub fn begin_request(&mut self, attributes: Value) {
        self.next_stream(attributes);
        self.request_headers = shown_headers(&self.root, "request");
        self.response_headers.clear();
        self.passing = Some(Message::Request);
    }

    /// The same stream, whose response headers pass.
    pub fn begin_response(&mut self, attributes: Value) {
        self.response_headers = shown_headers(&attributes, "response");
        self.advance(attributes);
        self.passing = Some(Message::Response);
    }

    /// A later phase of the same stream; what was published stays, and so do headers as they were left.
    pub fn advance(&mut self, attributes: Value) {
        self.passing = None;
        self.root = attributes;
        show_headers(&mut self.root, "request", &self.request_headers);
        if !self.response_headers.is_empty() {
            show_headers(&mut self.root, "response", &self.response_headers);
        }
        for (name, value) in self.published.clone() {
            self.show(&name, &value);
        }
    }

    /// An entry of an access log.
    pub fn begin_entry(&mut self, attributes: Value) {
        self.next_stream(attributes);
        self.logged = true;
    }

    /// An entry for the stream in hand, of which a filter has left something.
    pub fn log_stream(&mut self) {
        self.logged = true;
    }

    /// Another stream.
    pub fn next_stream(&mut self, attributes: Value) {
        self.published.clear();
        self.logged = false;
        self.passing = None;
        self.root = attributes;
    }

    /// The timer fires. As in Envoy, expressions are the plugin's until it is over; properties are, until a stream is
    /// made effective.
    pub fn begin_tick(&mut self, plugin: Value) {
        self.plugin = Some(plugin);
        self.leave_stream();
    }

    /// The timer's call is over.
    pub fn end_tick(&mut self) {
        self.enter_stream();
        self.plugin = None;
    }

    /// The plugin is effective, which has no stream.
    pub fn leave_stream(&mut self) {
        if let (Some(plugin), None) = (&self.plugin, &self.parked) {
            self.parked = Some(std::mem::replace(&mut self.root, plugin.clone()));
        }
    }

    /// The stream in hand is effective.
    pub fn enter_stream(&mut self) {
        if let Some(stream) = self.parked.take() {
            self.root = stream;
        }
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
        expression.evaluate(self.plugin.as_ref().unwrap_or(&self.root))
    }

    /// `proxy_get_property`; a path whose first name is no attribute is looked up among the set properties.
    pub fn property(&mut self, path: &[&str]) -> Result<Vec<u8>, u32> {
        self.count("proxy_get_property");
        self.root.at(path).map(Value::encode).ok_or(status::NOT_FOUND)
    }

    /// `proxy_set_property`: filter state `wasm.NAME`, which is also `NAME`.
    ///
    /// # Errors
    /// `NotFound` for an entry of an access log, as in Envoy.
    pub fn set_property(&mut self, name: &str, value: &[u8]) -> Result<(), u32> {
        self.count("proxy_set_property");
        if self.logged {
            return Err(status::NOT_FOUND);
        }
        self.published.insert(name.to_owned(), value.to_vec());
        self.show(name, value);
        Ok(())
    }

    /// `declare_property`: what the property holds.
    pub fn declare_property(&mut self, name: &str, content: Content) {
        self.count("declare_property");
        self.declared.insert(name.to_owned(), content);
    }

    fn show(&mut self, name: &str, value: &[u8]) {
        let value = match self.declared.get(name) {
            Some(Content::Text) => Value::Str(value.to_vec()),
            Some(Content::Struct) => struct_value(value),
            None => Value::Bytes(value.to_vec()),
        };
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

    fn declare(&mut self, name: &str, content: Content) -> Result<(), Failed> {
        self.declare_property(name, content);
        Ok(())
    }

    fn publish(&mut self, name: &str, value: &[u8]) -> Result<(), Failed> {
        self.set_property(name, value).map_err(Failed)
    }

    fn header(&mut self, message: Message, name: &str) -> Result<Option<Vec<u8>>, Failed> {
        Ok(self.headers(message).map_err(Failed)?.get(name).cloned())
    }

    fn remove_header(&mut self, message: Message, name: &str) -> Result<(), Failed> {
        self.headers(message).map_err(Failed)?.remove(name);
        Ok(())
    }

    fn set_header(&mut self, message: Message, name: &str, value: &[u8]) -> Result<(), Failed> {
        self.headers(message).map_err(Failed)?.insert(name.to_owned(), value.to_vec());
        Ok(())
    }
}

fn shown_headers(root: &Value, message: &str) -> Headers {
    match root.at(&[message, "headers"]) {
        Some(Value::Map(fields)) => {
            fields.iter().map(|(name, value)| (name.clone(), value.encode())).collect()
        }
        _ => Headers::new(),
    }
}

fn show_headers(root: &mut Value, message: &str, headers: &Headers) {
    let headers = headers.iter().map(|(name, value)| (name.clone(), Value::Str(value.clone())));
    if let Some(message) = root.get_mut(message) {
        message.set("headers", Value::Map(headers.collect()));
    }
}

/// A serialised Struct as expressions see it; texts and Structs are all that peers are made of.
fn struct_value(bytes: &[u8]) -> Value {
    use prost::Message;
    use prost_types::value::Kind;
    fn map(fields: prost_types::Struct) -> Value {
        let values = fields.fields.into_iter().filter_map(|(name, value)| match value.kind? {
            Kind::StringValue(text) => Some((name, Value::from(text.as_str()))),
            Kind::StructValue(inner) => Some((name, map(inner))),
            _ => None,
        });
        Value::Map(values.collect())
    }
    map(prost_types::Struct::decode(bytes).expect("a Struct was declared"))
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

    fn shared(&mut self, name: &str, out: &mut Vec<u8>) -> Result<Option<u32>, Failed> {
        self.count("proxy_get_shared_data");
        match self.shared.get(name) {
            Ok((value, version)) => {
                out.extend(value);
                Ok(Some(version))
            }
            Err(status::NOT_FOUND) => Ok(None),
            Err(status) => Err(Failed(status)),
        }
    }

    fn share(&mut self, name: &str, value: &[u8], version: Option<u32>) -> Result<bool, Failed> {
        self.count("proxy_set_shared_data");
        match self.shared.set(name, value, version.unwrap_or_default()) {
            Ok(()) => Ok(true),
            Err(status::CAS_MISMATCH) => Ok(false),
            Err(status) => Err(Failed(status)),
        }
    }
}

/// Runs a case on the core.
pub fn run(case: &Case, mount: Mount) -> Outcome {
    let mut proxy = Proxy::new(model::configuring(case));
    let mut statistics = Statistics::default();
    let configured = opmeter_core::configure(case.config.as_bytes(), &mut proxy);
    let text = |problems: &[Diagnostic]| problems.iter().map(ToString::to_string).collect();
    let Configured { plan, problems } = match configured {
        Ok(configured) => configured,
        Err(Unusable::Strict(problems)) => {
            return Outcome { refused: Some(text(&problems)), ..Outcome::default() };
        }
        Err(Unusable::Unreadable(problem)) => {
            count_configuration(Verdict::Unreadable, false, 1, &mut statistics);
            let problem = format!("{problem}; nothing is counted");
            let series = statistics.metrics.series();
            return Outcome { problems: vec![problem], series, ..Outcome::default() };
        }
    };
    count_configuration(Verdict::Accepted, true, problems.len(), &mut statistics);
    let recorder = Recorder::new(plan, &mut proxy, &mut statistics);
    let outcome = Outcome { log: text(&problems), problems: text(&problems), ..Outcome::default() };
    let mut run = Run { case, proxy, statistics, recorder, outcome };
    if mount == Mount::AccessLogger {
        run.entries();
    } else if case.is_tcp() {
        let connections = case.connections.iter().map(|c| (c, c.count));
        connections.for_each(|(c, count)| (0..count).for_each(|_| run.connection(c)));
    } else {
        case.requests.iter().for_each(|request| run.request(request));
    }
    Outcome { series: run.statistics.metrics.series(), ..run.outcome }
}

/// A case on its way through the core.
struct Run<'a> {
    case: &'a Case,
    proxy: Proxy,
    statistics: Statistics,
    recorder: Recorder,
    outcome: Outcome,
}

// === impl Run ===

impl Run<'_> {
    fn request(&mut self, request: &Request) {
        for _ in 0..request.count {
            self.stream(request);
        }
        self.outcome.passed.push(self.proxy.passed(self.case, request));
    }

    fn stream(&mut self, request: &Request) {
        let mut stream = Stream::default();
        self.proxy.begin_request(model::at_request(self.case, request));
        self.recorder.on_request(&mut stream, &mut self.proxy, &mut self.statistics);
        self.ticks(request, false, &mut stream);
        if self.case.response_to(request).status != 0 {
            self.proxy.begin_response(model::at_response(self.case, request));
            self.recorder.on_response(&mut stream, &mut self.proxy, &mut self.statistics);
        }
        self.ticks(request, true, &mut stream);
        self.proxy.advance(model::at_log(self.case, request));
        self.recorder.on_log(&mut stream, &mut self.proxy, &mut self.statistics);
    }

    fn ticks(&mut self, request: &Request, answered: bool, stream: &mut Stream) {
        for tick in request.ticks.iter().filter(|tick| tick.answered == answered) {
            self.proxy.advance(model::at_tick(self.case, request, tick));
            self.tick(stream);
        }
    }

    fn connection(&mut self, connection: &Connection) {
        let mut stream = Stream::connection();
        let at = |so_far, ended| model::of_connection(self.case, connection, so_far, ended);
        let (begin, end) = (at([0, 0], false), at(connection.in_the_end(), true));
        self.proxy.next_stream(begin);
        for tick in &connection.ticks {
            let attributes = model::of_connection(self.case, connection, tick.so_far, false);
            self.proxy.next_stream(attributes);
            self.tick(&mut stream);
        }
        self.proxy.next_stream(end);
        self.recorder.on_log(&mut stream, &mut self.proxy, &mut self.statistics);
    }

    fn entries(&mut self) {
        for connection in &self.case.connections {
            for _ in 0..connection.count {
                self.entry(model::of_logged_connection(self.case, connection));
            }
        }
        for request in self.case.requests.iter().filter(|_| !self.case.is_tcp()) {
            for _ in 0..request.count {
                self.entry(model::at_log(self.case, request));
            }
        }
    }

    fn entry(&mut self, attributes: Value) {
        self.proxy.begin_entry(attributes);
        self.recorder.on_entry(Share::All, &mut self.proxy, &mut self.statistics);
    }

    fn tick(&mut self, stream: &mut Stream) {
        self.proxy.begin_tick(model::configuring(self.case));
        self.proxy.enter_stream();
        self.recorder.on_tick(stream, &mut self.proxy, &mut self.statistics);
        self.proxy.end_tick();
        self.outcome.ticks.push(self.statistics.metrics.series());
    }
}
