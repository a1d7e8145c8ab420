//! How much an expression's value is, for a metric that records it (`definitions[].value`).

use super::vocabulary::Vocabulary;
use super::{Problem, Slots, Span, Type, compile};
use crate::text::cut;

/// What a value's text comes to: a number as it is, a duration (`1.500s`) in whole milliseconds, as Istio's own metrics of
/// durations have them; anything else, and what is negative, is 0.
pub fn amount(text: &[u8]) -> u64 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    text.parse().ok().or_else(|| milliseconds(text)).unwrap_or_default()
}

/// The form in which CEL's `string()` writes a duration.
fn milliseconds(text: &str) -> Option<u64> {
    let seconds = text.strip_suffix('s')?;
    let (whole, fraction) = cut(seconds, ".").unwrap_or((seconds, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let thousandths = fraction.bytes().chain([b'0'; 3]).take(3);
    let rest = thousandths.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(rest)
}

/// Why an expression can never have an amount; syntax errors are others' to tell.
pub(super) fn problems(text: &str, vocabulary: &Vocabulary<'_>) -> Vec<Problem> {
    let Ok(expr) = compile(text, vocabulary, &mut Slots::default()) else { return Vec::new() };
    let mut problems: Vec<Problem> = expr.failing.into_iter().collect();
    if expr.kind == Type::Timestamp {
        let message = "a timestamp is no amount; write a duration, such as request.duration, which is \
                       recorded in milliseconds";
        problems.push(Problem::error(Span::new(0, text.len()), message));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_as_they_are_and_durations_in_milliseconds() {
        for (text, expected) in [
            ("7", 7),
            ("18446744073709551615", u64::MAX),
            ("0s", 0),
            ("3s", 3_000),
            ("1.500s", 1_500),
            ("0.025999s", 25),
            ("0.000001s", 0),
            ("2.5s", 2_500),
            ("86400.123456789s", 86_400_123),
        ] {
            assert_eq!(amount(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn anything_else_is_nothing() {
        for text in [
            "",
            "s",
            ".s",
            "1.s",
            ".5s",
            "-1.500s",
            "-3",
            "1.5",
            "1e3",
            "1ms",
            "+1s",
            "99999999999999999999s",
            "many",
        ] {
            assert_eq!(amount(text.as_bytes()), 0, "{text}");
        }
        assert_eq!(amount(b"\xff"), 0);
    }

    #[test]
    fn what_is_never_an_amount_is_told() {
        let told = |text: &str| -> Vec<String> {
            let problems = problems(text, &Vocabulary::default());
            problems.iter().map(|problem| problem.line(text)).collect()
        };
        assert_eq!(
            told("request.time"),
            [
                "1:1: a timestamp is no amount; write a duration, such as request.duration, which is recorded in milliseconds"
            ]
        );
        assert_eq!(
            told("1 + int(response.backend_latency)"),
            [
                "1:5: int() takes no duration; without int() it is text such as 1.500s, and as an amount milliseconds"
            ]
        );
        for text in ["response.backend_latency", "int(request.headers['x'])", "(", "nosuch(1)"] {
            assert_eq!(told(text), Vec::<String>::new(), "{text}");
        }
    }
}
