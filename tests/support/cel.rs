//! Envoy's CEL for tests without an Envoy: the `cel` crate over the model, with Envoy's answers.
//!
//! Known to differ: `string()` of doubles from 1e6 up and below 1e-4 (Envoy writes an exponent) and of durations (Envoy
//! pads the fraction to 3, 6 or 9 digits), messages (`a.b{c: 1}`), header names in capitals (Envoy finds them), and `type()`,
//! which Envoy evaluates but cannot hand over. Cases with these belong on a real Envoy.

use crate::value::Value;
use cel::common::types::{CelBool, CelString, STRING_TYPE};
use cel::common::value::CowVal;
use cel::{Context, Env, ExecutionError, Program};
use chrono::DateTime;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

/// proxy-wasm ABI 0.2.1 `proxy_status_t`.
pub mod status {
    /// Done.
    pub const OK: u32 = 0;
    /// There is no such thing.
    pub const NOT_FOUND: u32 = 1;
    /// An argument makes no sense.
    pub const BAD_ARGUMENT: u32 = 2;
    /// A value cannot be written as bytes.
    pub const SERIALIZATION_FAILURE: u32 = 3;
    /// Shared data has another version.
    pub const CAS_MISMATCH: u32 = 8;
    /// An expression cannot be evaluated.
    pub const INTERNAL_FAILURE: u32 = 10;
    /// The host does not offer this call.
    pub const UNIMPLEMENTED: u32 = 12;
}

/// A compiled expression.
#[derive(Debug)]
pub struct Expression(Program);

/// Functions that Envoy's `expr_create` knows, beyond operators; all others are refused when an expression is created.
const FUNCTIONS: &[&str] = &[
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(environment()));

/// Bytes of a text that are not UTF-8 are carried through the `cel` crate, whose texts must be, as private-use characters.
const RAW_BYTES: u32 = 0x0010_fe00;

// === impl Expression ===

impl Expression {
    /// Compiles as `expr_create` does; an unknown identifier is fine, an unknown function is not.
    ///
    /// # Errors
    /// `BadArgument`.
    pub fn create(text: &str) -> Result<Self, u32> {
        // The crate's parser may panic where Envoy's answers with an error.
        let parsed = catch_unwind(|| ENV.compile(text));
        let Ok(Ok(program)) = parsed else { return Err(status::BAD_ARGUMENT) };
        let known = program.references().functions().iter().all(|name| is_known(name));
        if known { Ok(Self(program)) } else { Err(status::BAD_ARGUMENT) }
    }

    /// Evaluates over the attributes in `root`, a map.
    ///
    /// # Errors
    /// `InternalFailure` when evaluation fails, `SerializationFailure` for values that have no bytes.
    pub fn evaluate(&self, root: &Value) -> Result<Vec<u8>, u32> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        if let Value::Map(variables) = root {
            for (name, value) in variables {
                context.add_variable_from_value(name.as_str(), to_cel(value));
            }
        }
        let answer = catch_unwind(AssertUnwindSafe(|| self.0.execute(&context)))
            .unwrap_or_else(|_| Err(ExecutionError::InternalError("panic".to_owned())));
        let value = answer.map_err(|_| status::INTERNAL_FAILURE)?;
        from_cel(&value).map(|v| v.encode()).ok_or(status::SERIALIZATION_FAILURE)
    }
}

/// The standard library, and the global forms of text functions that Envoy offers beside the methods.
fn environment() -> Env {
    let mut env = Env::stdlib().with_optional_support(false);
    let text = || vec![STRING_TYPE, STRING_TYPE];
    let added = [
        env.add_overload("startsWith", "global_starts_with", text(), |args| {
            Ok(truth(&args, |text, part| text.starts_with(part)))
        }),
        env.add_overload("endsWith", "global_ends_with", text(), |args| {
            Ok(truth(&args, |text, part| text.ends_with(part)))
        }),
        env.add_overload("contains", "global_contains", text(), |args| {
            Ok(truth(&args, |text, part| text.contains(part)))
        }),
    ];
    assert!(added.iter().all(Result::is_ok), "the crate offers a global form itself now");
    env
}

fn truth<'b, 'v>(args: &[CowVal<'b, 'v>], test: fn(&str, &str) -> bool) -> CowVal<'b, 'v> {
    let text = |i: usize| args[i].downcast_ref::<CelString<'_>>().map_or("", |text| text.inner());
    CowVal::owned(CelBool::from(test(text(0), text(1))))
}

fn is_known(function: &str) -> bool {
    let operator = !function.starts_with(|c: char| c.is_ascii_alphabetic());
    operator || FUNCTIONS.contains(&function)
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Str(bytes) => cel::Value::String(Arc::new(carry(bytes))),
        Value::Int(n) => cel::Value::Int(*n),
        Value::UInt(n) => cel::Value::UInt(*n),
        Value::Double(n) => cel::Value::Float(*n),
        Value::Bool(b) => cel::Value::Bool(*b),
        Value::Bytes(bytes) => cel::Value::Bytes(Arc::new(bytes.clone())),
        Value::Duration(n) => cel::Value::Duration(chrono::Duration::nanoseconds(*n)),
        Value::Timestamp(n) => {
            cel::Value::Timestamp(DateTime::from_timestamp_nanos(*n).fixed_offset())
        }
        Value::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Map(fields) => {
            let fields: HashMap<String, cel::Value> =
                fields.iter().map(|(k, v)| (k.clone(), to_cel(v))).collect();
            fields.into()
        }
    }
}

fn from_cel(value: &cel::Value) -> Option<Value> {
    Some(match value {
        cel::Value::String(text) => Value::Str(uncarry(text)),
        cel::Value::Int(n) => Value::Int(*n),
        cel::Value::UInt(n) => Value::UInt(*n),
        cel::Value::Float(n) => Value::Double(*n),
        cel::Value::Bool(b) => Value::Bool(*b),
        cel::Value::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        cel::Value::Duration(d) => Value::Duration(d.num_nanoseconds()?),
        cel::Value::Timestamp(t) => Value::Timestamp(t.timestamp_nanos_opt()?),
        cel::Value::List(items) => Value::List(items.iter().map(from_cel).collect::<Option<_>>()?),
        cel::Value::Map(map) => {
            let fields: Option<BTreeMap<String, Value>> =
                map.map.iter().map(|(k, v)| Some((k.to_string(), from_cel(v)?))).collect();
            Value::Map(fields?)
        }
        _ => return None,
    })
}

fn carry(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        let raw = chunk.invalid().iter().filter_map(|b| char::from_u32(RAW_BYTES + u32::from(*b)));
        out.extend(raw);
    }
    out
}

fn uncarry(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for c in text.chars() {
        match u32::from(c).checked_sub(RAW_BYTES).and_then(|raw| u8::try_from(raw).ok()) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests;
