//! The core's ports over the ABI.

use crate::abi::{self, HeaderMap, MetricType};
use opmeter_core::port::{
    Content, ExprId, Failed, Host, Message, MetricId, MetricKind, Refused, Sink,
};

/// The proxy this module runs in, and the stream in hand.
#[derive(Debug)]
pub struct Proxy;

// === impl Proxy ===

impl Host for Proxy {
    fn compile(&mut self, expression: &str) -> Result<ExprId, Refused> {
        let token = abi::call_foreign_function("expr_create", expression.as_bytes());
        let token = token.map_err(|_| Refused)?.try_into().map_err(|_| Refused)?;
        Ok(ExprId(u32::from_le_bytes(token)))
    }

    fn evaluate(&mut self, expression: ExprId, out: &mut Vec<u8>) -> Result<(), Failed> {
        append(abi::call_foreign_function("expr_evaluate", &expression.0.to_le_bytes()), out)
    }

    fn attribute(&mut self, path: &str, out: &mut Vec<u8>) -> Result<(), Failed> {
        append(abi::property(path.as_bytes()), out)
    }

    fn node(&mut self, path: &[&str]) -> Option<Vec<u8>> {
        let path = [&["xds", "node"], path].concat().join("\0");
        abi::property(path.as_bytes()).ok()
    }

    fn declare(&mut self, name: &str, content: Content) -> Result<(), Failed> {
        let arguments = declare_property_arguments(name, content).ok_or(Failed(BAD_ARGUMENT))?;
        abi::call_foreign_function("declare_property", &arguments).map(drop).map_err(Failed)
    }

    fn publish(&mut self, name: &str, value: &[u8]) -> Result<(), Failed> {
        abi::set_property(name.as_bytes(), value).map_err(Failed)
    }

    fn header(&mut self, message: Message, name: &str) -> Result<Option<Vec<u8>>, Failed> {
        match abi::header(map(message), name) {
            Ok(value) => Ok(Some(value)),
            Err(abi::NOT_FOUND) => Ok(None),
            Err(status) => Err(Failed(status)),
        }
    }

    fn remove_header(&mut self, message: Message, name: &str) -> Result<(), Failed> {
        abi::remove_header(map(message), name).map_err(Failed)
    }

    fn set_header(&mut self, message: Message, name: &str, value: &[u8]) -> Result<(), Failed> {
        abi::set_header(map(message), name, value).map_err(Failed)
    }
}

impl Sink for Proxy {
    fn define(&mut self, kind: MetricKind, name: &str) -> Result<MetricId, Failed> {
        let kind = match kind {
            MetricKind::Counter => MetricType::Counter,
            MetricKind::Gauge => MetricType::Gauge,
            MetricKind::Histogram => MetricType::Histogram,
        };
        abi::define_metric(kind, name).map(MetricId).map_err(Failed)
    }

    fn increment(&mut self, metric: MetricId, delta: i64) -> Result<(), Failed> {
        abi::increment_metric(metric.0, delta).map_err(Failed)
    }

    fn record(&mut self, metric: MetricId, value: u64) -> Result<(), Failed> {
        abi::record_metric(metric.0, value).map_err(Failed)
    }

    fn shared(&mut self, name: &str, out: &mut Vec<u8>) -> Result<Option<u32>, Failed> {
        match abi::shared_data(name) {
            Ok((value, version)) => {
                out.extend_from_slice(&value);
                Ok(Some(version))
            }
            Err(abi::NOT_FOUND) => Ok(None),
            Err(status) => Err(Failed(status)),
        }
    }

    fn share(&mut self, name: &str, value: &[u8], version: Option<u32>) -> Result<bool, Failed> {
        match abi::set_shared_data(name, value, version.unwrap_or(abi::ANY_VERSION)) {
            Ok(()) => Ok(true),
            Err(abi::CAS_MISMATCH) => Ok(false),
            Err(status) => Err(Failed(status)),
        }
    }
}

fn append(answer: Result<Vec<u8>, abi::Status>, out: &mut Vec<u8>) -> Result<(), Failed> {
    let answer = answer.map_err(Failed)?;
    out.extend_from_slice(&answer);
    abi::give_back(answer);
    Ok(())
}

fn map(message: Message) -> HeaderMap {
    match message {
        Message::Request => HeaderMap::Request,
        Message::Response => HeaderMap::Response,
    }
}

/// Status of an argument that cannot be sent.
const BAD_ARGUMENT: u32 = 2;

/// Envoy's `DeclarePropertyArguments { name, type, schema }` in protobuf; `None` for a name beyond 127 bytes.
fn declare_property_arguments(name: &str, content: Content) -> Option<Vec<u8>> {
    const NAME: u8 = 1 << 3 | 2;
    const TYPE: u8 = 3 << 3;
    const SCHEMA: u8 = 4 << 3 | 2;
    const STRING: u8 = 1;
    const PROTOBUF: u8 = 3;
    let text = |field: u8, text: &str| {
        let len = u8::try_from(text.len()).ok().filter(|len| *len < 0x80)?;
        Some([&[field, len], text.as_bytes()].concat())
    };
    let name = text(NAME, name)?;
    Some(match content {
        Content::Text => [name.as_slice(), &[TYPE, STRING]].concat(),
        Content::Struct => {
            let schema = text(SCHEMA, "type.googleapis.com/google.protobuf.Struct")?;
            [name.as_slice(), &[TYPE, PROTOBUF], &schema].concat()
        }
    })
}
