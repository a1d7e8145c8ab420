//! Arithmetic and conversions of CEL, as Envoy answers them.

use super::program::Arithmetic;
use super::value::{EvalError, Value};
use core::str::FromStr;

type Outcome = Result<Value<'static>, EvalError>;

/// `+ - * / %` of two numbers of one type.
pub(super) fn arithmetic(operator: Arithmetic, left: Value<'_>, right: Value<'_>) -> Outcome {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => int(operator, a, b),
        (Value::Uint(a), Value::Uint(b)) => uint(operator, a, b),
        (Value::Double(a), Value::Double(b)) => double(operator, a, b),
        _ => Err(EvalError::Type),
    }
}

fn int(operator: Arithmetic, a: i64, b: i64) -> Outcome {
    let value = match operator {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Sub => a.checked_sub(b),
        Arithmetic::Mul => a.checked_mul(b),
        Arithmetic::Div | Arithmetic::Rem if b == 0 => return Err(EvalError::DivideByZero),
        Arithmetic::Div => a.checked_div(b),
        Arithmetic::Rem => a.checked_rem(b),
    };
    value.map(Value::Int).ok_or(EvalError::Overflow)
}

fn uint(operator: Arithmetic, a: u64, b: u64) -> Outcome {
    let value = match operator {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Sub => a.checked_sub(b),
        Arithmetic::Mul => a.checked_mul(b),
        Arithmetic::Div | Arithmetic::Rem if b == 0 => return Err(EvalError::DivideByZero),
        Arithmetic::Div => a.checked_div(b),
        Arithmetic::Rem => a.checked_rem(b),
    };
    value.map(Value::Uint).ok_or(EvalError::Overflow)
}

fn double(operator: Arithmetic, a: f64, b: f64) -> Outcome {
    Ok(Value::Double(match operator {
        Arithmetic::Add => a + b,
        Arithmetic::Sub => a - b,
        Arithmetic::Mul => a * b,
        Arithmetic::Div => a / b,
        Arithmetic::Rem => return Err(EvalError::Type),
    }))
}

/// Unary minus: not defined on uint.
pub(super) fn negate(value: Value<'_>) -> Outcome {
    match value {
        Value::Int(value) => value.checked_neg().map(Value::Int).ok_or(EvalError::Overflow),
        Value::Double(value) => Ok(Value::Double(-value)),
        _ => Err(EvalError::Type),
    }
}

/// Code points of a text (a byte that is not UTF-8 counts as one), bytes of bytes.
pub(super) fn size(value: Value<'_>) -> Outcome {
    let size = match value {
        Value::Str(text) => {
            text.utf8_chunks().map(|c| c.valid().chars().count() + c.invalid().len()).sum()
        }
        Value::Bytes(bytes) => bytes.len(),
        _ => return Err(EvalError::Type),
    };
    Ok(Value::Int(size as i64))
}

/// `int()`: doubles are cut towards zero, texts may have blanks around and a plus sign.
pub(super) fn to_int(value: Value<'_>) -> Outcome {
    let int = match value {
        Value::Int(value) => value,
        Value::Bool(value) => value.into(),
        Value::Uint(value) => i64::try_from(value).map_err(|_| EvalError::Overflow)?,
        // cel-cpp keeps one step away from the ends, where doubles are coarser than ints.
        Value::Double(value)
            if value > -9_223_372_036_854_775_808.0 && value < 9_223_372_036_854_775_807.0 =>
        {
            value as i64
        }
        Value::Double(_) => return Err(EvalError::Overflow),
        Value::Str(text) => core::str::from_utf8(text)
            .ok()
            .map(|text| text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b'))
            .and_then(|text| i64::from_str(text).ok())
            .ok_or(EvalError::Convert)?,
        _ => return Err(EvalError::Type),
    };
    Ok(Value::Int(int))
}

/// Appends what `string()` makes of a value that is neither text nor bytes.
pub(super) fn write(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
    match value {
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => {
            sign(value, out);
            write_digits(value.unsigned_abs(), 1, out);
        }
        Value::Uint(value) => write_digits(value, 1, out),
        Value::Duration(nanos) => write_duration(nanos, out),
        _ => return Err(EvalError::Type),
    }
    Ok(())
}

/// Protobuf's JSON form: seconds with 0, 3, 6 or 9 decimals, such as `1.500s`.
fn write_duration(nanos: i64, out: &mut Vec<u8>) {
    let (seconds, mut rest) =
        (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    sign(nanos, out);
    write_digits(seconds, 1, out);
    if rest > 0 {
        let mut places = 9;
        while rest % 1000 == 0 {
            rest /= 1000;
            places -= 3;
        }
        out.push(b'.');
        write_digits(rest, places, out);
    }
    out.push(b's');
}

fn sign(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
}

/// At least `places` digits.
fn write_digits(mut number: u64, places: usize, out: &mut Vec<u8>) {
    let start = out.len();
    while number > 0 || out.len() < start + places {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}
