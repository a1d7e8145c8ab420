use super::*;

fn answer(text: &str) -> Result<Vec<u8>, u32> {
    let root = Value::object([
        (
            "request",
            Value::map()
                .with("path", "/up?a=b")
                .with("url_path", "/up")
                .with("duration", Value::Duration(1_500_000_000))
                .with(
                    "headers",
                    Value::map().with("x-num", "12").with("x-raw", Value::Str(b"\xa1x".to_vec())),
                ),
        ),
        ("filter_state", Value::map()),
    ]);
    Expression::create(text).and_then(|e| e.evaluate(&root))
}

fn text(expression: &str) -> String {
    String::from_utf8(answer(expression).unwrap_or_else(|s| panic!("{expression}: status {s}")))
        .unwrap()
}

/// Every line is what a real Envoy 1.40 answered.
#[test]
fn values_are_those_of_envoy() {
    for (expression, expected) in [
        ("string(1)", "1"),
        ("string(1u)", "1"),
        ("string(1.5)", "1.5"),
        ("string(1.0)", "1"),
        ("string(true)", "true"),
        ("string(b'a')", "a"),
        ("string('a')", "a"),
        ("string(1.0/3.0)", "0.3333333333333333"),
        ("string(100000.0)", "100000"),
        ("string(duration('90s'))", "90s"),
        ("string(timestamp('2020-01-01T00:00:00Z'))", "2020-01-01T00:00:00Z"),
        ("'a' + 'b'", "ab"),
        ("request['pa'+'th']", "/up?a=b"),
        ("request.headers['x-num']", "12"),
        ("r'\\x41'", "\\x41"),
        ("'''a'b'''", "a'b"),
    ] {
        assert_eq!(text(expression), expected, "{expression}");
    }
}

#[test]
fn truth_is_that_of_envoy() {
    for (expression, expected) in [
        ("request.url_path == 5", false),
        ("true || 'a'", true),
        ("'a' || true", true),
        ("false && 'a'", false),
        ("'a' && false", false),
        ("(1/0 == 1) || true", true),
        ("nosuch || true", true),
        ("1 == 1.0", true),
        ("1u in [1,2]", true),
        ("'a' in ['a', 1]", true),
        ("1 < 1.5", true),
        ("'x-num' in request.headers", true),
        ("has(request.headers.nope)", false),
        ("has(request.nope)", false),
        ("request.duration > duration('0s')", true),
        ("startsWith('abc','a')", true),
        ("'abc'.startsWith('a')", true),
        ("matches('a', 'a')", true),
        ("[1,2].all(x, x>0)", true),
        ("'a' == b'a'", false),
    ] {
        assert_eq!(answer(expression), Ok(vec![u8::from(expected)]), "{expression}");
    }
}

#[test]
fn failures_are_those_of_envoy() {
    use status::{BAD_ARGUMENT, INTERNAL_FAILURE, SERIALIZATION_FAILURE};
    for (expression, expected) in [
        ("nosuch", INTERNAL_FAILURE),
        ("has(nosuch.x)", INTERNAL_FAILURE),
        ("request.nosuch", INTERNAL_FAILURE),
        ("request.headers['nosuch']", INTERNAL_FAILURE),
        ("filter_state['k']", INTERNAL_FAILURE),
        ("'a' + 1", INTERNAL_FAILURE),
        ("!'a'", INTERNAL_FAILURE),
        ("'a' ? 1 : 2", INTERNAL_FAILURE),
        ("1 ? 2 : 3", INTERNAL_FAILURE),
        ("true && 'a'", INTERNAL_FAILURE),
        ("1/0", INTERNAL_FAILURE),
        ("9223372036854775807 + 1", INTERNAL_FAILURE),
        ("string(request.headers)", INTERNAL_FAILURE),
        ("string(b'\\xff')", INTERNAL_FAILURE),
        ("request.duration > 0", INTERNAL_FAILURE),
        ("'a' in 'abc'", INTERNAL_FAILURE),
        ("'a'.matches('(')", INTERNAL_FAILURE),
        ("int('x')", INTERNAL_FAILURE),
        ("null", SERIALIZATION_FAILURE),
        ("[null]", SERIALIZATION_FAILURE),
        ("nosuch(1)", BAD_ARGUMENT),
        ("'a'.nosuch()", BAD_ARGUMENT),
        ("request.path.lowerAscii()", BAD_ARGUMENT),
        ("'a' 'b'", BAD_ARGUMENT),
        ("(", BAD_ARGUMENT),
        ("", BAD_ARGUMENT),
        ("has(request.headers['x'])", BAD_ARGUMENT),
        ("'\\ud800'", BAD_ARGUMENT),
    ] {
        assert_eq!(answer(expression), Err(expected), "{expression}");
    }
}

#[test]
fn bytes_that_are_not_utf8_pass_through() {
    assert_eq!(answer("request.headers['x-raw']"), Ok(b"\xa1x".to_vec()));
    assert_eq!(answer("'a' + request.headers['x-raw']"), Ok(b"a\xa1x".to_vec()));
}
