//! A scripted proxy: answers expressions from a table, takes metrics down.

use opmeter_core::attribute::Fact;
use opmeter_core::attribute::fact::TABLE;
use opmeter_core::port::{
    Content, ExprId, Failed, Host, Message, MetricId, MetricKind, Refused, Sink,
};
use std::collections::BTreeMap;

/// Status `InternalFailure`.
pub const FAILURE: Failed = Failed(10);

/// Answers by expression text; facts without an answer are absent, everything else fails.
#[derive(Default)]
pub struct Script {
    pub facts: BTreeMap<Fact, Vec<u8>>,
    pub answers: BTreeMap<String, Vec<u8>>,
    /// Attributes beyond facts, such as `source.address` or `request.headers['a']`, as they are encoded.
    pub attributes: BTreeMap<String, Vec<u8>>,
    pub refused: Vec<String>,
    pub node: BTreeMap<String, String>,
    /// Whether a timer rather than a stream has the module called: expressions see no stream.
    pub timer: bool,
    /// Whether the stream is a connection.
    pub connection: bool,
    /// Whether a list of facts cannot be evaluated.
    pub lists_fail: bool,
    /// Whether nothing can be evaluated but what the stream is.
    pub facts_fail: bool,
    /// Lists that take attributes for granted cannot be evaluated.
    pub bare_fails: bool,
    /// Whether `string()` takes no bool, as before Envoy 1.37.
    pub bools_fail: bool,
    /// Whether attributes cannot be published.
    pub publishing_fails: bool,
    pub published: Vec<(String, String)>,
    /// Marks on the stream in hand that mounts of the module leave for each other; `None` where each sees another stream.
    pub marks: Option<BTreeMap<String, Vec<u8>>>,
    pub evaluations: usize,
    pub request: BTreeMap<String, Vec<u8>>,
    pub response: BTreeMap<String, Vec<u8>>,
    pub expressions: Vec<String>,
}

impl Script {
    fn answer(&self, text: &str) -> Option<Vec<u8>> {
        if let Some((fact, _)) = TABLE.iter().find(|(_, expression)| *expression == text) {
            return Some(self.fact(*fact));
        }
        if let Some(value) = self.read(text) {
            return Some(value);
        }
        if text == "string(true)" {
            return (!self.bools_fail).then(|| b"true".to_vec());
        }
        let inner = text
            .strip_prefix("string(\n")
            .and_then(|t| t.strip_suffix("\n)"))
            .or_else(|| text.strip_prefix("(\n")?.strip_suffix("\n) ? true : false"));
        self.answers.get(inner.unwrap_or(text)).cloned()
    }

    fn headers(&mut self, message: Message) -> &mut BTreeMap<String, Vec<u8>> {
        match message {
            Message::Request => &mut self.request,
            Message::Response => &mut self.response,
        }
    }

    /// `has(A) ? A : ''` or `has(A) ? '=' + A : ''` of an attribute, perhaps a header.
    fn read(&self, text: &str) -> Option<Vec<u8>> {
        let (guard, value) = text.strip_suffix(" : ''")?.split_once(" ? ")?;
        if !guard.starts_with("has(") && !guard.ends_with(" in request.headers") {
            return None;
        }
        let name = value.strip_prefix("'=' + ");
        let known = self.attributes.get(name.unwrap_or(value));
        let mark = if name.is_some() && known.is_some() { "=" } else { "" };
        Some([mark.as_bytes(), known.map(Vec::as_slice).unwrap_or_default()].concat())
    }

    /// A list, or the one of two that is meant for the listener's direction.
    fn list(&self, text: &str) -> Option<Vec<u8>> {
        let conditional =
            text.strip_prefix(IS_REQUEST).and_then(|text| text.strip_suffix(") : ''"));
        let mut text = conditional.unwrap_or(text);
        if let Some((typed, untyped)) =
            text.strip_prefix(IS_TYPED).and_then(|lists| lists.split_once("] : ["))
        {
            let has_type = self.facts.contains_key(&Fact::ContentType);
            let list = if has_type { [typed, "]"] } else { ["[", untyped] };
            return self.list(&list.concat());
        }
        if let Some((_, lists)) = text.split_once(BY_DIRECTION) {
            let (inbound, others) = lists.split_once("] : [")?;
            let is_inbound = self.facts.get(&Fact::ListenerDirection) == Some(&int(1));
            text = if is_inbound { inbound } else { others.strip_suffix(']')? };
        } else {
            text = text.strip_prefix('[')?.strip_suffix(']')?;
        }
        let values: Option<Vec<Vec<u8>>> =
            text.split(", ").map(|element| self.element(element)).collect();
        values.filter(|_| !self.lists_fail).map(|values| encode_list(&values))
    }

    fn element(&self, text: &str) -> Option<Vec<u8>> {
        if text == "1" {
            return Some(int(1));
        }
        let is_bare = |expression: &str| expression.ends_with(&format!(" ? {text} : ''"));
        let some_have =
            [Fact::ContentType, Fact::RouteName, Fact::ClusterName, Fact::UpstreamAddress];
        match TABLE.iter().find(|(_, expression)| is_bare(expression)) {
            Some(_) if self.bare_fails => None,
            // A connection has no headers.
            Some((Fact::Host | Fact::Method | Fact::Path, _)) if self.connection => None,
            Some((fact, _)) => {
                Some(self.fact(*fact)).filter(|v| !v.is_empty() || !some_have.contains(fact))
            }
            None => self.answer(text),
        }
    }

    /// A fact; streams whose facts have a key have one.
    fn fact(&self, fact: Fact) -> Vec<u8> {
        let known = self.facts.get(&fact).cloned();
        let is_known = |facts: &[Fact]| facts.iter().any(|fact| self.facts.contains_key(fact));
        let of_cluster = [
            Fact::ClusterService,
            Fact::ClusterExternal,
            Fact::ClusterDisablesExchange,
            Fact::EndpointWorkload,
        ];
        known.unwrap_or_else(|| match fact {
            Fact::ConnectionId => int(7),
            Fact::ClusterName if is_known(&of_cluster) => b"c".to_vec(),
            Fact::UpstreamAddress if is_known(&[Fact::EndpointWorkload]) => b"10.0.0.1:80".to_vec(),
            _ => Vec::new(),
        })
    }
}

/// In front of the list for requests with a content type, with the list for others behind it.
const IS_TYPED: &str = "'content-type' in request.headers ? ";

/// In front of the list for inbound streams, with the list for others behind it.
const BY_DIRECTION: &str = "xds.listener_direction == 1 ? [";

/// What asks for facts of requests alone begins with it.
const IS_REQUEST: &str = "has(request.protocol) ? (";

impl Host for Script {
    fn compile(&mut self, expression: &str) -> Result<ExprId, Refused> {
        if self.refused.iter().any(|text| expression.contains(text)) {
            return Err(Refused);
        }
        self.expressions.push(expression.to_owned());
        Ok(ExprId(self.expressions.len() as u32 - 1))
    }

    fn evaluate(&mut self, expression: ExprId, out: &mut Vec<u8>) -> Result<(), Failed> {
        self.evaluations += 1;
        if self.timer {
            return Err(FAILURE);
        }
        let text = &self.expressions[expression.0 as usize];
        if self.facts_fail && text != "has(request.protocol)" {
            return Err(FAILURE);
        }
        let value = match text.strip_prefix("has(request.protocol)") {
            Some("") => Some(vec![u8::from(!self.connection)]),
            Some(_) if self.connection => Some(Vec::new()),
            Some(_) => self.list(text),
            None if text.contains('[') && text.contains(", ") => self.list(text),
            None => self.answer(text),
        };
        out.extend(value.ok_or(FAILURE)?);
        Ok(())
    }

    fn attribute(&mut self, path: &str, out: &mut Vec<u8>) -> Result<(), Failed> {
        // Headers are gone when the timer calls.
        let is_asked = |fact: &Fact| fact.path() == path && !(self.timer && *fact == Fact::Host);
        let fact = TABLE.iter().map(|(fact, _)| *fact).find(is_asked).map(|fact| self.fact(fact));
        let mark = self.marks.as_ref().and_then(|marks| marks.get(path));
        let other = mark.or_else(|| self.attributes.get(&path.replace('\0', "."))).cloned();
        out.extend(fact.filter(|value| !value.is_empty()).or(other).ok_or(FAILURE)?);
        Ok(())
    }

    fn node(&mut self, path: &[&str]) -> Option<Vec<u8>> {
        self.node.get(&path.join("/")).map(|value| value.clone().into_bytes())
    }

    fn declare(&mut self, _name: &str, _content: Content) -> Result<(), Failed> {
        Ok(())
    }

    fn publish(&mut self, name: &str, value: &[u8]) -> Result<(), Failed> {
        if self.publishing_fails {
            return Err(FAILURE);
        }
        if name.starts_with("opmeter_") {
            self.marks.iter_mut().for_each(|marks| drop(marks.insert(name.into(), value.into())));
            return Ok(());
        }
        self.published.push((name.to_owned(), String::from_utf8_lossy(value).into_owned()));
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

/// Metrics by stat name, and how often each call was made.
#[derive(Default)]
pub struct Stats {
    pub names: Vec<(MetricKind, String)>,
    /// By name: a counter's sum, a gauge's last value, a histogram's sum.
    pub values: BTreeMap<String, u64>,
    pub shared: BTreeMap<String, Vec<u8>>,
    /// Whether another worker is always faster to share something.
    pub contended: bool,
    /// Whether metrics of streams cannot be defined.
    pub defining_fails: bool,
    pub calls: usize,
}

impl Stats {
    #[allow(dead_code, reason = "not every test that shares this file adds series up")]
    /// Sum over all series of a metric.
    pub fn total(&self, metric: &str) -> u64 {
        let of = |name: &str| name == metric || name.ends_with(&format!(";.;{metric}"));
        self.values.iter().filter(|(name, _)| of(name)).map(|(_, value)| value).sum()
    }

    #[allow(dead_code, reason = "not every test that shares this file looks at labels")]
    /// The only stat name of a metric, without the metric's own name.
    #[track_caller]
    pub fn labels(&self, metric: &str) -> String {
        let mut all = self.names.iter().filter_map(|(_, name)| name.strip_suffix(metric));
        let one = all.next().expect("the metric is defined").to_owned();
        assert_eq!(all.next(), None, "{metric} has several series");
        one
    }
}

impl Sink for Stats {
    fn define(&mut self, kind: MetricKind, name: &str) -> Result<MetricId, Failed> {
        self.calls += 1;
        if self.defining_fails && name.contains('=') {
            return Err(FAILURE);
        }
        self.names.push((kind, name.to_owned()));
        self.values.entry(name.to_owned()).or_default();
        Ok(MetricId(self.names.len() as u32 - 1))
    }

    fn increment(&mut self, metric: MetricId, delta: i64) -> Result<(), Failed> {
        self.calls += 1;
        let (kind, name) = &self.names[metric.0 as usize];
        assert_ne!(*kind, MetricKind::Histogram);
        if delta == 0 {
            return Err(FAILURE);
        }
        *self.values.get_mut(name).expect("defined") += delta as u64;
        Ok(())
    }

    fn record(&mut self, metric: MetricId, value: u64) -> Result<(), Failed> {
        self.calls += 1;
        let (kind, name) = &self.names[metric.0 as usize];
        let sum = self.values.get_mut(name).expect("defined");
        match kind {
            MetricKind::Gauge => *sum = value,
            MetricKind::Histogram | MetricKind::Counter => *sum += value,
        }
        Ok(())
    }

    fn shared(&mut self, name: &str, out: &mut Vec<u8>) -> Result<Option<u32>, Failed> {
        self.calls += 1;
        let found = self.shared.get(name);
        out.extend(found.into_iter().flatten());
        Ok(found.map(|_| 1))
    }

    fn share(&mut self, name: &str, value: &[u8], _version: Option<u32>) -> Result<bool, Failed> {
        self.calls += 1;
        if self.contended {
            return Ok(false);
        }
        self.shared.insert(name.to_owned(), value.to_vec());
        Ok(true)
    }
}

/// A list as Envoy encodes it.
pub fn encode_list(values: &[Vec<u8>]) -> Vec<u8> {
    let mut out = (values.len() as u32).to_le_bytes().to_vec();
    for value in values {
        out.extend((value.len() as u32).to_le_bytes());
        out.extend(0u32.to_le_bytes());
    }
    for value in values {
        out.extend(value);
        out.extend([0, 0]);
    }
    out
}

/// An int as Envoy encodes it.
pub fn int(number: i64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}
