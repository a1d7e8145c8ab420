//! A proxy whose answers are ready.

use opmeter_core::attribute::Fact;
use opmeter_core::attribute::fact::TABLE;
use opmeter_core::port::{
    Content, ExprId, Failed, Host, Message, MetricId, MetricKind, Refused, Sink,
};

/// Status of what is not there.
const NOT_FOUND: Failed = Failed(1);

/// Answers about an inbound request, from the second time on with a copy; every expression that asks for no fact is false.
#[derive(Default)]
pub struct Script {
    expressions: Vec<String>,
    /// By expression.
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

const BY_DIRECTION: &str = "xds.listener_direction == 1 ? ";
const BY_TYPE: &str = "'content-type' in request.headers ? ";

fn answer(text: &str) -> Vec<u8> {
    let list = text.split_once(BY_DIRECTION).map_or(text, |(_, lists)| lists);
    let list = list.strip_prefix(BY_TYPE).unwrap_or(list);
    let Some(list) = list.strip_prefix('[') else {
        return asked(text).unwrap_or_else(|| vec![0]);
    };
    let elements = list.split_once("] : [").map_or(list, |(first, _)| first).trim_end_matches(']');
    let values: Option<Vec<Vec<u8>>> = elements.split(", ").map(asked).collect();
    encode_list(&values.expect("every element is a fact"))
}

/// The fact that an expression asks for, guarded or not.
fn asked(text: &str) -> Option<Vec<u8>> {
    if text == "1" {
        return Some(value(Fact::ListenerDirection));
    }
    let bare = format!(" ? {text} : ''");
    let fact = TABLE.iter().find(|(_, asks)| *asks == text || asks.ends_with(&bare));
    fact.map(|(fact, _)| value(*fact))
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
        let known = self.answers.len();
        self.answers.extend(self.expressions.iter().skip(known).map(|text| answer(text)));
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
    fn shared(&mut self, _: &str, _: &mut Vec<u8>) -> Result<Option<u32>, Failed> {
        Ok(None)
    }

    fn share(&mut self, _: &str, _: &[u8], _: Option<u32>) -> Result<bool, Failed> {
        Ok(true)
    }

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
