//! A proxy whose answers are ready.

use opmeter_core::attribute::Fact;
use opmeter_core::attribute::fact::TABLE;
use opmeter_core::port::{
    Content, ExprId, Failed, Host, Message, MetricId, MetricKind, Refused, Sink,
};

/// Status of what is not there.
const NOT_FOUND: Failed = Failed(1);

/// Answers lists of facts; every other expression is false.
#[derive(Default)]
pub struct Script {
    expressions: Vec<String>,
    /// By expression, once nothing more is compiled.
    answers: Vec<Vec<u8>>,
    /// How many expressions were evaluated.
    pub evaluated: u64,
}

/// Takes any metric.
#[derive(Default)]
pub struct Metrics {
    defined: u32,
    /// How many values were recorded.
    pub recorded: u64,
}

// === impl Script ===

impl Script {
    /// Renders the answers.
    pub fn answer_lists(&mut self) {
        self.answers = self.expressions.iter().map(|text| answer(text)).collect();
    }
}

fn answer(text: &str) -> Vec<u8> {
    let listed = |expression: &str| text.starts_with('[') && text.contains(expression);
    let facts: Vec<Vec<u8>> = TABLE
        .iter()
        .filter(|(_, expression)| listed(expression))
        .map(|(fact, _)| value(*fact))
        .collect();
    if facts.is_empty() { vec![0] } else { encode_list(&facts) }
}

/// What is known of a plain inbound request.
fn value(fact: Fact) -> Vec<u8> {
    let int = |number: i64| number.to_le_bytes().to_vec();
    match fact {
        Fact::ListenerDirection => int(1),
        Fact::ResponseCode => int(200),
        Fact::Duration => int(12_345_678),
        Fact::RequestBytes | Fact::ResponseBytes => int(1234),
        Fact::ResponseFlags => int(0),
        Fact::Host => b"ratings.default.svc.cluster.local:9080".to_vec(),
        Fact::Method => b"GET".to_vec(),
        Fact::Path => b"/api/service-042/resource-017/item-4711".to_vec(),
        Fact::ContentType => b"application/json".to_vec(),
        Fact::RouteName => b"default".to_vec(),
        Fact::ClusterName => b"inbound|9080||".to_vec(),
        _ => Vec::new(),
    }
}

/// A list as Envoy encodes it.
fn encode_list(values: &[Vec<u8>]) -> Vec<u8> {
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

impl Host for Script {
    fn compile(&mut self, expression: &str) -> Result<ExprId, Refused> {
        self.expressions.push(expression.to_owned());
        Ok(ExprId(self.expressions.len() as u32 - 1))
    }

    fn evaluate(&mut self, expression: ExprId, out: &mut Vec<u8>) -> Result<(), Failed> {
        self.evaluated += 1;
        out.extend_from_slice(self.answers.get(expression.0 as usize).ok_or(NOT_FOUND)?);
        Ok(())
    }

    fn attribute(&mut self, _: &str, _: &mut Vec<u8>) -> Result<(), Failed> {
        Err(NOT_FOUND)
    }

    fn node(&mut self, _: &[&str]) -> Option<Vec<u8>> {
        None
    }

    fn declare(&mut self, _: &str, _: Content) -> Result<(), Failed> {
        Ok(())
    }

    fn publish(&mut self, _: &str, _: &[u8]) -> Result<(), Failed> {
        Ok(())
    }

    fn header(&mut self, _: Message, _: &str) -> Result<Option<Vec<u8>>, Failed> {
        Ok(None)
    }

    fn remove_header(&mut self, _: Message, _: &str) -> Result<(), Failed> {
        Ok(())
    }

    fn set_header(&mut self, _: Message, _: &str, _: &[u8]) -> Result<(), Failed> {
        Ok(())
    }
}

impl Sink for Metrics {
    fn define(&mut self, _: MetricKind, _: &str) -> Result<MetricId, Failed> {
        self.defined += 1;
        Ok(MetricId(self.defined))
    }

    fn increment(&mut self, _: MetricId, _: i64) -> Result<(), Failed> {
        self.recorded += 1;
        Ok(())
    }

    fn record(&mut self, _: MetricId, _: u64) -> Result<(), Failed> {
        self.recorded += 1;
        Ok(())
    }
}
