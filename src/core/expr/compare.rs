//! Equality and order of CEL values: numbers of any type by their mathematical value, other types only with their own.

use super::value::{EvalError, Value};
use core::cmp::Ordering;

/// CEL `==`: never an error, false between different types.
pub(super) fn equal(left: Value<'_>, right: Value<'_>) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        _ => matches!(order(left, right), Ok(Some(Ordering::Equal))),
    }
}

/// CEL `<` and its kin: `Ok(None)` if one side is not-a-number, an error between types without an order.
pub(super) fn order(left: Value<'_>, right: Value<'_>) -> Result<Option<Ordering>, EvalError> {
    match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => Ok(Some(a.cmp(&b))),
        (Value::Str(a), Value::Str(b)) | (Value::Bytes(a), Value::Bytes(b)) => Ok(Some(a.cmp(b))),
        (Value::Duration(a), Value::Duration(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => {
            Ok(Some(a.cmp(&b)))
        }
        (Value::Double(a), Value::Double(b)) => Ok(a.partial_cmp(&b)),
        (Value::Double(a), b) => Ok(order_double(integer(b)?, a).map(Ordering::reverse)),
        (a, Value::Double(b)) => Ok(order_double(integer(a)?, b)),
        (a, b) => Ok(Some(integer(a)?.cmp(&integer(b)?))),
    }
}

fn integer(value: Value<'_>) -> Result<i128, EvalError> {
    match value {
        Value::Int(value) => Ok(value.into()),
        Value::Uint(value) => Ok(value.into()),
        _ => Err(EvalError::Type),
    }
}

/// Order of an integer and a double, exact beyond 2^53 too.
fn order_double(integer: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double >= 18_446_744_073_709_551_616.0 {
        return Some(Ordering::Less);
    }
    if double < -9_223_372_036_854_775_808.0 {
        return Some(Ordering::Greater);
    }
    let whole = double as i128;
    let rest = double - whole as f64;
    Some(integer.cmp(&whole).then(0.0_f64.partial_cmp(&rest)?))
}
