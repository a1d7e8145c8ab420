//! The `cel` crate as a judge.

use super::Answer;
use super::native::{self, HEADERS, PATH};
use cel::{Context, Program, Value};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the crate does otherwise than Envoy, and the texts that tell such an expression. In all of them our answer is
/// Envoy's.
pub const EXCEPTIONS: &[(&str, &[&str])] = &[
    (
        "header names have no case in Envoy",
        &["'X-Num' in request.headers", "request.headers['HOST']"],
    ),
    (
        "text functions can be called without a target",
        &["startsWith('abc', 'a')", "contains('abc', 'z')", "endsWith('abc', 'c')"],
    ),
    ("int() takes bools", &["int(true)", "int(false)"]),
    ("int() takes blanks around the digits", &["int(' 12')", "int('12 ')", "int('\\t7\\n')"]),
    (
        "RE2 knows \\Q and takes a brace that counts nothing as itself",
        &["\\Qa.b", "matches('a{')", "matches('a{,2}')"],
    ),
    ("\\w is ASCII in RE2", &["matches('^\\\\w+$')", "matches('^\\\\W$')"]),
    ("a duration's text has 0, 3, 6 or 9 decimals", &["string(duration("]),
    ("nothing is in order with not-a-number", &["0.0 / 0.0 < 1.0"]),
    ("a macro with wrong arguments does not compile", &["has()", "has(a.b, c.d)"]),
    ("only request and response are given to the crate", &["connection.", "xds."]),
];

/// The exception that covers a text.
pub fn exception(text: &str) -> Option<&'static str> {
    EXCEPTIONS
        .iter()
        .find(|(_, marks)| marks.iter().any(|mark| text.contains(mark)))
        .map(|(name, _)| *name)
}

pub fn answer(text: &str) -> Answer {
    // Texts that are not UTF-8 have no form in the crate.
    if text.contains("x-bad") {
        return Answer::Left;
    }
    let judged = catch_unwind(AssertUnwindSafe(|| {
        let Ok(program) = Program::compile(text) else { return Answer::Refused };
        program.execute(&context()).map_or(Answer::Error, encode)
    }));
    judged.unwrap_or(Answer::Left)
}

fn context() -> Context<'static, 'static> {
    let mut headers: HashMap<String, Value> = HashMap::new();
    for (name, value) in HEADERS {
        headers.insert(name.into(), String::from_utf8_lossy(value).into_owned().into());
    }
    headers.insert(":path".into(), PATH.into());
    headers.insert(":method".into(), "GET".into());
    let mut request: HashMap<String, Value> = HashMap::new();
    let mut response: HashMap<String, Value> = HashMap::new();
    for attribute in opmeter_core::expr::ATTRIBUTES {
        let Some(value) = native::attribute(attribute.name).and_then(value) else { continue };
        match attribute.name.split_once('.') {
            Some(("request", name)) => request.insert(name.into(), value),
            Some(("response", name)) => response.insert(name.into(), value),
            _ => None,
        };
    }
    request.insert("headers".into(), headers.into());
    let mut context = Context::default();
    context.add_variable_from_value("request", request);
    context.add_variable_from_value("response", response);
    context
}

fn value(value: opmeter_core::expr::Value<'static>) -> Option<Value> {
    use opmeter_core::expr::Value as Own;
    Some(match value {
        Own::Str(text) => String::from_utf8_lossy(text).into_owned().into(),
        Own::Int(value) => Value::Int(value),
        Own::Bool(value) => Value::Bool(value),
        Own::Duration(nanos) => Value::Duration(chrono::Duration::nanoseconds(nanos)),
        _ => return None,
    })
}

fn encode(value: Value) -> Answer {
    Answer::Value(match value {
        Value::Null => return Answer::Shapeless,
        Value::Bool(value) => vec![value.into()],
        Value::Int(value) => value.to_le_bytes().into(),
        Value::UInt(value) => value.to_le_bytes().into(),
        Value::Float(value) => value.to_le_bytes().into(),
        Value::String(text) => text.as_bytes().into(),
        Value::Bytes(bytes) => bytes.as_slice().into(),
        Value::Duration(value) => value.num_nanoseconds().unwrap_or(i64::MAX).to_le_bytes().into(),
        _ => return Answer::Left,
    })
}
