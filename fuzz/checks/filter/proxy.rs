//! A proxy whose answers come out of the input: right ones, failures, any bytes.

use arbitrary::Unstructured;
use opmeter_core::attribute::Fact;
use opmeter_core::attribute::fact::TABLE;
use opmeter_core::port::{Content, ExprId, Failed, Host, Message, Refused};
use std::rc::Rc;

/// The proxy. When the input is used up, it answers rightly and fails no more.
pub(crate) struct Proxy<'d> {
    input: Unstructured<'d>,
    expressions: Vec<Rc<Expression>>,
    streams: Vec<Stream>,
    current: usize,
    timer: bool,
    logging: bool,
    /// Whether the stream in hand was told of as it is, so far.
    honest: bool,
}

/// What was compiled.
pub(crate) enum Expression {
    Value(Element),
    List(Vec<Element>),
    /// One list for inbound streams, one for all others.
    ByDirection {
        guarded: bool,
        inbound: Vec<Element>,
        others: Vec<Element>,
    },
    /// One list for requests with a content type, one for all others.
    ByType {
        typed: Vec<Element>,
        untyped: Vec<Element>,
    },
    /// Empty for connections.
    OfRequests(Box<Expression>),
    IsRequest,
    Condition,
    Text,
}

/// What is fetched.
#[derive(Clone, Copy)]
pub(crate) enum Element {
    /// Empty when it is absent.
    Fact(Fact),
    /// An error when it is absent.
    Bare(Fact),
    /// The number 1.
    One,
    /// A text with a mark in front.
    Marked,
    /// What the filter has published.
    Published,
    /// Whatever else an expression reads.
    Number,
}

/// How much of a stream the proxy has told of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub received: u64,
    pub sent: u64,
    pub requests: u64,
    pub responses: u64,
}

struct Stream {
    connection: bool,
    facts: Vec<(Fact, Vec<u8>)>,
    /// What there is.
    traffic: Traffic,
    /// The most ever told, and what was told at the end; `None` when nobody can tell what a lie was taken for.
    most: Option<Traffic>,
    last: Traffic,
    logged: bool,
}

const FAILURE: Failed = Failed(10);

/// A header as a sidecar writes it: `NAME` p, `WORKLOAD_NAME` w, `LABELS` app a, role r.
const METADATA: &[u8] = b"CgsKBE5BTUUSAxoBcAoUCg1XT1JLTE9BRF9OQU1FEgMaAXcKJAoGTEFCRUxTEhoqGAoKCgNhcHASAxoBYQoKCgRyb2xlEgIaAA==";

// === impl Proxy ===

impl<'d> Proxy<'d> {
    /// A proxy that has compiled these expressions before.
    pub(crate) fn new(input: Unstructured<'d>, expressions: Vec<Rc<Expression>>) -> Self {
        let streams = Vec::new();
        Self { input, expressions, streams, current: 0, timer: false, logging: false, honest: true }
    }

    pub(crate) fn into_expressions(self) -> Vec<Rc<Expression>> {
        self.expressions
    }

    /// The next byte, if there is one.
    pub(crate) fn next_operation(&mut self) -> Option<u8> {
        (!self.input.is_empty()).then(|| self.byte())
    }

    /// Which of the next calls to the statistics fail.
    pub(crate) fn failures(&mut self) -> u32 {
        match self.byte() {
            byte if byte & 3 == 3 => self.input.arbitrary().unwrap_or_default(),
            _ => 0,
        }
    }

    /// Whether other workers are always faster to share something.
    pub(crate) fn is_contended(&mut self) -> bool {
        self.byte() & 15 == 7
    }

    pub(crate) fn begin(&mut self, connection: bool) {
        let mut facts = Vec::new();
        for _ in 0..self.byte() & 7 {
            let fact = TABLE[usize::from(self.byte()) % TABLE.len()].0;
            let value = match self.byte() {
                kind if kind & 3 == 0 => i64::from(self.byte()).to_le_bytes().to_vec(),
                kind => self.bytes(usize::from(kind >> 2) % 24),
            };
            facts.push((fact, value));
        }
        self.honest = facts.is_empty();
        self.streams.push(Stream {
            connection,
            facts,
            traffic: Traffic::default(),
            most: Some(Traffic::default()),
            last: Traffic::default(),
            logged: false,
        });
    }

    pub(crate) fn turn_to(&mut self, stream: usize) {
        self.current = stream;
    }

    /// Some more of everything.
    pub(crate) fn traffic(&mut self) {
        let (few, many) = (u64::from(self.byte() & 15), u64::from(self.byte()));
        let traffic = &mut self.streams[self.current].traffic;
        traffic.requests += few;
        traffic.responses += 1;
        traffic.received += many;
        traffic.sent += few * many;
    }

    /// Expressions see no stream while `act` runs.
    pub(crate) fn timer(&mut self, act: impl FnOnce(&mut Self)) {
        self.timer = true;
        act(self);
        self.timer = false;
    }

    /// What is told while `act` runs for the first time is told at the end.
    pub(crate) fn log(&mut self, act: impl FnOnce(&mut Self)) {
        self.logging = !self.streams[self.current].logged;
        act(self);
        self.streams[self.current].logged = true;
        self.logging = false;
    }

    /// The least and the most that may have been reported of all streams.
    pub(crate) fn bounds(&self, of: impl Fn(&Traffic) -> u64) -> Option<(u128, u128)> {
        let mut bounds = (0, 0);
        for stream in &self.streams {
            bounds.0 += u128::from(of(&stream.last));
            bounds.1 += u128::from(of(&stream.most?));
        }
        Some(bounds)
    }

    fn byte(&mut self) -> u8 {
        self.input.arbitrary().unwrap_or_default()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let len = len.min(self.input.len());
        self.input.bytes(len).unwrap_or_default().to_vec()
    }

    /// A fact's value as this call tells it.
    fn fact(&mut self, fact: Fact) -> Vec<u8> {
        let stream = &self.streams[self.current];
        let told = stream.facts.iter().find(|(known, _)| *known == fact);
        let value = told.map_or_else(|| usual(stream, fact), |(_, value)| value.clone());
        self.told(fact, &value);
        value
    }

    fn value(&mut self, element: Element) -> Result<Vec<u8>, Failed> {
        Ok(match element {
            Element::Fact(fact) => self.fact(fact),
            // A connection has no headers.
            Element::Bare(Fact::Host | Fact::Method | Fact::Path) if self.is_connection() => {
                return Err(FAILURE);
            }
            Element::Bare(fact) => {
                let value = self.fact(fact);
                return if value.is_empty() { Err(FAILURE) } else { Ok(value) };
            }
            Element::One => 1i64.to_le_bytes().to_vec(),
            Element::Marked => b"=v".to_vec(),
            Element::Published => match self.byte() & 3 {
                3 => b"GET /items/{id}".to_vec(),
                _ => Vec::new(),
            },
            Element::Number => 7i64.to_le_bytes().to_vec(),
        })
    }

    fn is_connection(&self) -> bool {
        self.streams.get(self.current).is_some_and(|stream| stream.connection)
    }

    fn list(&mut self, elements: &[Element]) -> Result<Vec<u8>, Failed> {
        let values: Result<Vec<Vec<u8>>, Failed> =
            elements.iter().map(|element| self.value(*element)).collect();
        Ok(encode_list(&values?))
    }

    fn answer(&mut self, expression: &Expression, how: u8) -> Result<Vec<u8>, Failed> {
        let connection = self.is_connection();
        match expression {
            Expression::Value(element) => self.value(*element),
            Expression::List(elements) => self.list(elements),
            Expression::ByDirection { guarded, inbound, others } => {
                let direction = self.fact(Fact::ListenerDirection);
                match (direction.is_empty(), guarded) {
                    (true, false) => Err(FAILURE),
                    (false, _) if number(&direction) == 1 => self.list(inbound),
                    _ => self.list(others),
                }
            }
            Expression::ByType { .. } if connection => Err(FAILURE),
            Expression::ByType { typed, untyped } => {
                let has_type = !self.fact(Fact::ContentType).is_empty();
                self.list(if has_type { typed } else { untyped })
            }
            Expression::OfRequests(_) if connection => Ok(Vec::new()),
            Expression::OfRequests(expression) => self.answer(expression, how),
            Expression::IsRequest => Ok(vec![u8::from(!connection)]),
            Expression::Condition => Ok(vec![how >> 7]),
            Expression::Text => Ok(b"1x".get(usize::from(how >> 7)..).unwrap_or_default().to_vec()),
        }
    }

    fn told(&mut self, fact: Fact, value: &[u8]) {
        let stream = &mut self.streams[self.current];
        let mut told = Traffic::default();
        match fact {
            Fact::RequestBytes if stream.connection => told.received = number(value),
            Fact::ResponseBytes if stream.connection => told.sent = number(value),
            Fact::GrpcMessages if !stream.connection => {
                let text = std::str::from_utf8(value).unwrap_or_default();
                if let Some((requests, responses)) = text.split_once(',')
                    && let (Ok(requests), Ok(responses)) = (requests.parse(), responses.parse())
                {
                    told = Traffic { requests, responses, ..told };
                }
            }
            _ => return,
        }
        let most = |a: Traffic, b: Traffic| Traffic {
            received: a.received.max(b.received),
            sent: a.sent.max(b.sent),
            requests: a.requests.max(b.requests),
            responses: a.responses.max(b.responses),
        };
        stream.most = stream.most.map(|known| most(known, told));
        if self.logging {
            // The ABI adds no more than this at once.
            let cap = |number: u64| number.min(i64::MAX.cast_unsigned());
            let told = Traffic {
                received: cap(told.received),
                sent: cap(told.sent),
                requests: cap(told.requests),
                responses: cap(told.responses),
            };
            stream.last = most(stream.last, told);
        }
    }

    /// Whether the stream in hand was told of as it is.
    pub(crate) fn is_honest(&self) -> bool {
        self.honest
    }

    /// What was told of the stream in hand does not count.
    pub(crate) fn forget(&mut self) {
        let current = self.current;
        if let Some(stream) = self.streams.get_mut(current) {
            stream.last = Traffic::default();
        }
    }

    /// Nobody can tell any more what was told of the stream in hand.
    pub(crate) fn garbled(&mut self) {
        let current = self.current;
        if let Some(stream) = self.streams.get_mut(current) {
            stream.most = None;
        }
    }
}

impl Host for Proxy<'_> {
    fn compile(&mut self, expression: &str) -> Result<ExprId, Refused> {
        // No CEL expression has one outside a string.
        if expression.contains('@') {
            return Err(Refused);
        }
        self.expressions.push(Rc::new(read(expression)));
        Ok(ExprId(self.expressions.len() as u32 - 1))
    }

    fn evaluate(&mut self, expression: ExprId, out: &mut Vec<u8>) -> Result<(), Failed> {
        let how = self.byte();
        if self.timer || how & 15 == 1 {
            self.honest = false;
            return Err(FAILURE);
        }
        let expression = self.expressions[expression.0 as usize].clone();
        if how & 15 == 2 {
            self.honest = false;
            let lie = self.bytes(usize::from(how >> 2));
            match *expression {
                Expression::Value(Element::Fact(fact)) => self.told(fact, &lie),
                Expression::Value(_) | Expression::Condition | Expression::Text => {}
                _ => self.garbled(),
            }
            out.extend(lie);
            return Ok(());
        }
        out.extend(self.answer(&expression, how)?);
        Ok(())
    }

    fn attribute(&mut self, path: &str, out: &mut Vec<u8>) -> Result<(), Failed> {
        let fact = TABLE.iter().map(|(fact, _)| *fact).find(|fact| fact.path() == path);
        match (self.byte() & 15, fact) {
            (1, _) => return Err(FAILURE),
            (2, fact) => {
                let lie = self.bytes(8);
                if let Some(fact) = fact {
                    self.told(fact, &lie);
                }
                out.extend(lie);
            }
            (_, Some(fact)) => out.extend(self.fact(fact)),
            (_, None) => out.extend(self.value(Element::Number)?),
        }
        Ok(())
    }

    fn node(&mut self, path: &[&str]) -> Option<Vec<u8>> {
        match path {
            ["id"] => Some(b"sidecar~10.0.0.1~p.ns~ns.svc.cluster.local".to_vec()),
            ["metadata", "WORKLOAD_NAME"] => Some(b"web".to_vec()),
            _ => None,
        }
    }

    fn declare(&mut self, _name: &str, _content: Content) -> Result<(), Failed> {
        Ok(())
    }

    fn publish(&mut self, _name: &str, _value: &[u8]) -> Result<(), Failed> {
        if self.byte() & 15 == 1 { Err(FAILURE) } else { Ok(()) }
    }

    fn header(&mut self, _message: Message, name: &str) -> Result<Option<Vec<u8>>, Failed> {
        // Only requests of gRPC have messages, which every request here may have.
        if name == "content-type" {
            return if self.byte() & 15 == 1 {
                Err(FAILURE)
            } else {
                Ok(Some(b"application/grpc".to_vec()))
            };
        }
        Ok(match self.byte() & 15 {
            1 => return Err(FAILURE),
            2 => None,
            3 => Some(self.bytes(12)),
            _ if name.ends_with("-id") => {
                Some(b"sidecar~10.0.0.2~q.ns~ns.svc.cluster.local".to_vec())
            }
            _ if name == "baggage" => Some(b"k8s.deployment.name=w".to_vec()),
            _ => Some(METADATA.to_vec()),
        })
    }

    fn remove_header(&mut self, _message: Message, _name: &str) -> Result<(), Failed> {
        if self.byte() & 15 == 1 { Err(FAILURE) } else { Ok(()) }
    }

    fn set_header(&mut self, _: Message, _: &str, _: &[u8]) -> Result<(), Failed> {
        if self.byte() & 15 == 1 { Err(FAILURE) } else { Ok(()) }
    }
}

/// What a proxy says of an ordinary stream.
fn usual(stream: &Stream, fact: Fact) -> Vec<u8> {
    let int = |number: i64| number.to_le_bytes().to_vec();
    let total = |number: u64| number.to_le_bytes().to_vec();
    match fact {
        Fact::ListenerDirection => int(2),
        Fact::Host => b"ratings:9080".to_vec(),
        Fact::Method => b"GET".to_vec(),
        Fact::Path => b"/items/7?x".to_vec(),
        Fact::ContentType => b"application/grpc".to_vec(),
        Fact::ResponseCode => int(200),
        Fact::GrpcStatus | Fact::ResponseFlags => int(0),
        Fact::Duration => int(3_000_000),
        Fact::RequestBytes => total(stream.traffic.received),
        Fact::ResponseBytes => total(stream.traffic.sent),
        Fact::GrpcMessages => {
            format!("{},{}", stream.traffic.requests, stream.traffic.responses).into_bytes()
        }
        Fact::ConnectionId => int(7),
        Fact::ClusterName => b"outbound|9080||ratings".to_vec(),
        Fact::UpstreamAddress => b"10.0.0.9:9080".to_vec(),
        Fact::EndpointWorkload => b"ratings-v1;default;ratings;v1;Kubernetes".to_vec(),
        _ => Vec::new(),
    }
}

fn number(value: &[u8]) -> u64 {
    let number = value.try_into().ok().map(i64::from_le_bytes);
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
}

/// What the core asks, in the forms in which it asks.
fn read(text: &str) -> Expression {
    const DIRECTION: &str = "xds.listener_direction == 1 ? ";
    const IS_TYPED: &str = "'content-type' in request.headers ? ";
    let of_requests = text.strip_prefix("has(request.protocol) ? (");
    let guarded = text.strip_prefix("has(xds.listener_direction) && ");
    let by_direction = guarded.unwrap_or(text).strip_prefix(DIRECTION);
    if let Some(inner) = of_requests.and_then(|text| text.strip_suffix(") : ''")) {
        Expression::OfRequests(Box::new(read(inner)))
    } else if text == "has(request.protocol)" {
        Expression::IsRequest
    } else if let Some((typed, untyped)) =
        text.strip_prefix(IS_TYPED).and_then(|text| text.split_once("] : ["))
    {
        Expression::ByType { typed: elements_of(typed), untyped: elements_of(untyped) }
    } else if let Some((inbound, others)) = by_direction.and_then(|text| text.split_once(" : [")) {
        let (inbound, others) = (elements_of(inbound), elements_of(others));
        Expression::ByDirection { guarded: guarded.is_some(), inbound, others }
    } else if text.starts_with('[') {
        Expression::List(elements_of(text))
    } else if text.ends_with("? true : false") {
        Expression::Condition
    } else if text.ends_with(" : ''") {
        Expression::Value(element_of(text))
    } else {
        Expression::Text
    }
}

fn elements_of(list: &str) -> Vec<Element> {
    let list = list.trim_start_matches('[').trim_end_matches(']');
    list.split(", ").filter(|text| !text.is_empty()).map(element_of).collect()
}

fn element_of(text: &str) -> Element {
    let bare = |of: &str| {
        of.split_once(" ? ").is_some_and(|(_, of)| of.strip_suffix(" : ''") == Some(text))
    };
    let fact =
        |is: &dyn Fn(&str) -> bool| TABLE.iter().find(|(_, of)| is(of)).map(|(fact, _)| *fact);
    if let Some(fact) = fact(&|of| of == text) {
        Element::Fact(fact)
    } else if text == "1" {
        Element::One
    } else if text.contains("? '=' + ") {
        Element::Marked
    } else if text.starts_with("'wasm.") {
        Element::Published
    } else if let Some(fact) = fact(&bare) {
        Element::Bare(fact)
    } else {
        Element::Number
    }
}

fn encode_list(values: &[Vec<u8>]) -> Vec<u8> {
    let mut out = (values.len() as u32).to_le_bytes().to_vec();
    for value in values {
        out.extend((value.len() as u32).to_le_bytes());
        out.extend([0; 4]);
    }
    for value in values {
        out.extend(value);
        out.extend([0, 0]);
    }
    out
}
