//! Literals of CEL: numbers, strings and bytes with all their escapes, raw and triple-quoted forms.

use super::lex::Kind;
use super::problem::{Problem, Span};

/// A number at the start of `rest`, with its length.
pub(super) fn number(rest: &str) -> (Kind, usize) {
    if let Some(hex) = rest.strip_prefix("0x") {
        let len = digits(hex, |b| b.is_ascii_hexdigit());
        if len > 0 {
            return integer(
                hex.get(..len).and_then(|d| u64::from_str_radix(d, 16).ok()),
                hex,
                len,
                2,
            );
        }
    }
    let whole = digits(rest, |b| b.is_ascii_digit());
    let fraction = fraction(rest, whole);
    let exponent = exponent(rest, whole + fraction);
    let len = whole + fraction + exponent;
    if len > whole {
        return (Kind::Double(rest.get(..len).and_then(double)), len);
    }
    integer(rest.get(..whole).and_then(|d| d.parse().ok()), rest, whole, 0)
}

fn integer(value: Option<u64>, rest: &str, len: usize, prefix: usize) -> (Kind, usize) {
    match rest.as_bytes().get(len) {
        Some(b'u' | b'U') => (Kind::Uint(value), prefix + len + 1),
        _ => (Kind::Int(value), prefix + len),
    }
}

fn digits(text: &str, digit: fn(&u8) -> bool) -> usize {
    text.bytes().take_while(digit).count()
}

/// Length of `.digits` at `at`; a point without digits is a selection.
fn fraction(text: &str, at: usize) -> usize {
    match text.get(at..).and_then(|t| t.strip_prefix('.')) {
        Some(tail) => match digits(tail, |b| b.is_ascii_digit()) {
            0 => 0,
            n => n + 1,
        },
        None => 0,
    }
}

fn exponent(text: &str, at: usize) -> usize {
    let Some(tail) = text.get(at..).and_then(|t| t.strip_prefix(['e', 'E'])) else {
        return 0;
    };
    let sign = usize::from(tail.starts_with(['+', '-']));
    match digits(tail.get(sign..).unwrap_or(""), |b| b.is_ascii_digit()) {
        0 => 0,
        n => 1 + sign + n,
    }
}

/// A decimal number whose double is exact after one operation: digits below 2^53 and a power of ten up to 22.
/// Others are left to the host; a correctly rounding parser costs more module bytes than the rest of the lexer.
pub(super) fn double(text: &str) -> Option<f64> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut digits: u64 = 0;
    for b in whole.bytes().chain(fraction.bytes()) {
        digits = digits.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
    }
    let power = exponent.checked_sub(fraction.len() as i32)?;
    if digits >= 1 << 53 || power.unsigned_abs() > 22 {
        return None;
    }
    let scale = (0..power.unsigned_abs()).fold(1.0_f64, |scale, _| scale * 10.0);
    Some(if power < 0 { digits as f64 / scale } else { digits as f64 * scale })
}

/// A string or bytes literal at the start of `rest`, or `None` when there is none.
pub(super) fn quoted(rest: &str, at: usize, problems: &mut Vec<Problem>) -> Option<(Kind, usize)> {
    let (bytes, tail) = prefix(rest, ['b', 'B']);
    let (raw, tail) = prefix(tail, ['r', 'R']);
    let quote = ["'''", "\"\"\"", "'", "\""].into_iter().find(|q| tail.starts_with(q))?;
    let open = rest.len() - tail.len() + quote.len();
    let body = rest.get(open..).unwrap_or("");
    let Some(len) = body_len(body, quote, raw) else {
        let end = if quote.len() == 3 {
            body.len()
        } else {
            body.find(['\n', '\r']).unwrap_or(body.len())
        };
        problems.push(Problem::error(Span::new(at, at + open + end), "unterminated string"));
        return Some((Kind::Bad, open + end));
    };
    let body = body.get(..len).unwrap_or("");
    let mut out = Vec::with_capacity(len);
    if raw {
        out.extend_from_slice(body.as_bytes());
    } else {
        unescape(body, at + open, bytes, &mut out, problems);
    }
    let kind = match bytes {
        true => Kind::Bytes(out),
        false => String::from_utf8(out).map_or(Kind::Bad, Kind::Str),
    };
    Some((kind, open + len + quote.len()))
}

fn prefix(text: &str, letters: [char; 2]) -> (bool, &str) {
    match text.strip_prefix(letters) {
        Some(tail) => (true, tail),
        None => (false, text),
    }
}

/// Length of a string's body up to its closing quote.
fn body_len(body: &str, quote: &str, raw: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = body.get(at..)?;
        if rest.starts_with(quote) {
            return Some(at);
        }
        let mut chars = rest.chars();
        let c = chars.next()?;
        at += c.len_utf8();
        if quote.len() == 1 && matches!(c, '\n' | '\r') {
            return None;
        }
        if c == '\\' && !raw {
            at += chars.next()?.len_utf8();
        }
    }
}

fn unescape(body: &str, at: usize, bytes: bool, out: &mut Vec<u8>, problems: &mut Vec<Problem>) {
    let mut rest = body;
    while let Some(slash) = rest.find('\\') {
        let (plain, escape) = rest.split_at(slash);
        out.extend_from_slice(plain.as_bytes());
        let start = at + body.len() - escape.len();
        let len = match escaped(escape, bytes, out) {
            Some(len) => len,
            None => {
                let len = 1 + escape.chars().nth(1).map_or(0, char::len_utf8);
                let text = escape.get(..len).unwrap_or(escape);
                let message = format!(
                    "invalid escape \"{text}\" in {}",
                    if bytes { "bytes" } else { "a string" }
                );
                problems.push(Problem::error(Span::new(start, start + len), message));
                len
            }
        };
        rest = escape.get(len..).unwrap_or("");
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Appends what the escape at the start of `text` stands for; its length, or `None` if CEL has no such escape.
fn escaped(text: &str, bytes: bool, out: &mut Vec<u8>) -> Option<usize> {
    let (radix, from, len) = match text.as_bytes().get(1)? {
        b'x' | b'X' => (16, 2, 2),
        b'u' if !bytes => (16, 2, 4),
        b'U' if !bytes => (16, 2, 8),
        b'0'..=b'3' => (8, 1, 3),
        other => {
            out.push(simple(*other)?);
            return Some(2);
        }
    };
    let digits = text.get(from..from + len)?;
    if !digits.bytes().all(|b| (b as char).is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok()?;
    if bytes {
        out.push(u8::try_from(code).ok()?);
    } else {
        let mut buffer = [0; 4];
        out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut buffer).as_bytes());
    }
    Some(from + len)
}

fn simple(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' | b'\'' | b'"' | b'`' | b'?' => letter,
        _ => return None,
    })
}
