//! Expressions from text to value: syntax errors word by word, classes and their reasons, reads, and the rules of
//! evaluation that the corpus against other CEL implementations cannot show.

use opmeter_core::expr::{
    AttributeId, Class, EvalError, Facts, Read, Severity, Slot, Slots, Source, Type, Value,
    Vocabulary, compile,
};

/// Answers slots by the name of their read.
struct Request<'s>(&'s Slots);

impl Facts for Request<'_> {
    fn get(&self, slot: Slot) -> Option<Value<'_>> {
        let Read { source, path } = self.0.read(slot)?;
        let id = match source {
            Source::Attribute(id) => id,
            Source::Derived(_) => return Some(Value::Str(b"GetUser")),
            Source::Peer(_) => return Some(Value::Str(b"cart")),
        };
        let path: Vec<&str> = path.iter().map(|key| &**key).collect();
        Some(match (id.attribute()?.name, path.as_slice()) {
            ("request.path", []) => Value::Str(b"/users/7?x=1"),
            ("request.url_path", []) => Value::Str(b"/users/7"),
            ("request.method", []) => Value::Str(b"GET"),
            ("request.size", []) => Value::Int(0),
            ("request.duration", []) => Value::Duration(1_500_000_000),
            ("connection.id", []) => Value::Uint(9),
            ("request.headers", ["x-num"]) => Value::Str(b"12"),
            _ => return None,
        })
    }
}

fn names() -> Vec<String> {
    vec!["istio_operation_id".into()]
}

#[track_caller]
fn errors(text: &str, expected: &[&str]) {
    let problems = compile(text, &Vocabulary::default(), &mut Slots::default()).unwrap_err();
    let found: Vec<String> = problems
        .iter()
        .map(|p| {
            assert_eq!(p.severity, Severity::Error);
            let (line, column) = p.span.line_column(text);
            format!("{line}:{column}: {p}")
        })
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[track_caller]
fn warnings(text: &str, expected: &[&str]) {
    let names = names();
    let expr = compile(text, &Vocabulary { derived: &names }, &mut Slots::default()).unwrap();
    let found = expr.warnings().iter().chain(expr.doubts());
    let found: Vec<String> = found.map(ToString::to_string).collect();
    assert_eq!(found, expected, "{text}");
}

#[track_caller]
fn class(text: &str, expected: &str) {
    let names = names();
    let expr = compile(text, &Vocabulary { derived: &names }, &mut Slots::default()).unwrap();
    assert_eq!(expr.class().to_string(), expected, "{text}");
    assert_eq!(expr.program().is_none(), expected.starts_with("host"), "{text}");
}

#[track_caller]
fn value(text: &str, expected: Result<Value<'_>, &str>) {
    let names = names();
    let mut slots = Slots::default();
    let expr = compile(text, &Vocabulary { derived: &names }, &mut slots).unwrap();
    let (request, mut built) = (Request(&slots), Vec::new());
    let found = expr.program().expect("native").eval(&request, &mut built);
    let found = found.map_err(|e| match e {
        EvalError::Absent(_) => "absent",
        EvalError::Type => "type",
        EvalError::Overflow => "overflow",
        EvalError::DivideByZero => "zero",
        EvalError::Convert => "convert",
        EvalError::TooLong => "long",
    });
    assert_eq!(found, expected, "{text}");
}

#[test]
fn syntax_errors() {
    errors("", &["1:1: expected an expression, found end of expression"]);
    errors("a ==", &["1:5: expected an expression, found end of expression"]);
    errors("a b", &["1:3: expected an operator, found \"b\""]);
    errors("(a", &["1:3: expected \")\", found end of expression"]);
    errors("a[1", &["1:4: expected \"]\", found end of expression"]);
    errors("a ? b", &["1:6: expected \":\", found end of expression"]);
    errors("a.1", &["1:2: expected an operator, found a number"]);
    errors("a.", &["1:3: expected a field or function name, found end of expression"]);
    errors("a.in", &["1:3: expected a field or function name, found \"in\""]);
    errors("0X1", &["1:2: expected an operator, found \"X1\""]);
    errors(".true", &["1:2: expected a name, found \"true\""]);
    errors("a = 1", &["1:3: unexpected \"=\" (did you mean \"==\"?)"]);
    errors("a & b", &["1:3: unexpected \"&\" (did you mean \"&&\"?)"]);
    errors("a # b", &["1:3: unexpected character \"#\""]);
    errors("a é b", &["1:3: unexpected character \"é\""]);
    errors("'abc", &["1:1: unterminated string"]);
    errors("'''abc'", &["1:1: unterminated string"]);
    errors(r"'a\q'", &["1:3: invalid escape \"\\q\" in a string"]);
    errors(r"b'\u0041'", &["1:3: invalid escape \"\\u\" in bytes"]);
    errors(r"'\ud800'", &["1:2: invalid escape \"\\u\" in a string"]);
    errors("9223372036854775808", &["1:1: number does not fit int (64 bit)"]);
    errors("-9223372036854775809", &["1:2: number does not fit int (64 bit)"]);
    errors("18446744073709551616u", &["1:1: number does not fit uint (64 bit)"]);
    errors("package", &["1:1: \"package\" is a reserved word"]);
    errors("has(a)", &["1:1: has() takes one field selection, such as has(request.referer)"]);
    errors("f(a,)", &["1:5: expected an expression, found \")\""]);
    errors("f(a b)", &["1:5: expected \",\" or \")\", found \"b\""]);
    errors("{1 2}", &["1:4: expected \":\", found a number"]);
    errors("a == 1)", &["1:7: expected an operator, found \")\""]);
}

#[test]
fn all_errors_are_reported_at_once() {
    errors(
        "request.method = 'GET' &&\n  (request.path == ) && size(, 1) == $",
        &[
            "1:16: unexpected \"=\" (did you mean \"==\"?)",
            "2:20: expected an expression, found \")\"",
            "2:30: expected an expression, found \",\"",
            "2:38: unexpected character \"$\"",
        ],
    );
}

#[test]
fn limits() {
    let long = format!("'{}'", "x".repeat(8 * 1024));
    errors(&long, &["1:1: expression of 8194 bytes, at most 8192 are allowed"]);
    errors(&"(".repeat(100), &["1:65: nested deeper than 64 levels"]);
    let deep = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
    assert!(compile(&deep(63), &Vocabulary::default(), &mut Slots::default()).is_ok());
    errors(&deep(64), &["1:65: nested deeper than 64 levels"]);
    for text in
        ["!".repeat(100) + "true", "-".repeat(100) + "a", "a".to_owned() + &".b".repeat(100)]
    {
        let problems = compile(&text, &Vocabulary::default(), &mut Slots::default()).unwrap_err();
        assert_eq!(problems[0].to_string(), "nested deeper than 64 levels", "{text}");
    }
    // Chains of && and || are one level.
    let chain = vec!["request.method == 'GET'"; 300].join(" || ");
    assert!(compile(&chain, &Vocabulary::default(), &mut Slots::default()).is_ok());
}

#[test]
fn a_problem_is_drawn_with_carets() {
    let text = "true &&\n request.meth == 'é' && request.pth == 1";
    let expr = compile(text, &Vocabulary::default(), &mut Slots::default()).unwrap();
    let drawn: Vec<String> = expr.warnings().iter().map(|w| w.render(text)).collect();
    assert_eq!(
        drawn,
        [
            "2:2: unknown attribute \"request.meth\" (did you mean \"request.method\"?)\n   \
             request.meth == 'é' && request.pth == 1\n   ^^^^^^^^^^^^",
            "2:25: unknown attribute \"request.pth\" (did you mean \"request.path\"?)\n   \
             request.meth == 'é' && request.pth == 1\n                          ^^^^^^^^^^^",
        ]
    );
}

const UNKNOWN_PATH: &str = "unknown attribute \"request.pth\" (did you mean \"request.path\"?)";

#[test]
fn warnings_say_what_is_doubtful() {
    warnings("request.url_path == 5", &["\"==\" of string and int is always false"]);
    warnings("request.url_path != 5", &["\"!=\" of string and int is always true"]);
    warnings("request.url_path < 5", &["\"<\" of string and int always fails"]);
    warnings("request.size == 1u || request.size < 2.5", &[]);
    warnings("request.size + 'a'", &["\"+\" of int and string always fails"]);
    warnings("request.path && true", &["\"&&\" needs bool, found string"]);
    warnings("!request.path", &["\"!\" needs bool, found string"]);
    warnings("request.path ? 1 : 2", &["\"?:\" needs bool, found string"]);
    warnings("-request.path == 'a'", &["\"-\" needs int or double, found string"]);
    warnings("request.size.startsWith('a')", &["a string is needed, found int"]);
    warnings(
        "request.size in ['1', '2']",
        &["\"in\" looks for int where there is none: always false"],
    );
    warnings(
        "request.path.startWith('/')",
        &["unknown function \"startWith\" (did you mean \"startsWith\"?)"],
    );
    warnings(
        "requst.path",
        &["unknown attribute \"requst.path\" (did you mean \"request.path\"?)"],
    );
    warnings("request.wholly_unknown", &["unknown attribute \"request.wholly_unknown\""]);
    // What another plugin may have published.
    for text in ["istio_operationId", "other.value", "filter_state.other"] {
        warnings(text, &[]);
    }
    warnings("request.path.matches('(a')", &["invalid regular expression: missing \")\""]);
    warnings("[1, 2].exists(x, x.pth == request.pth)", &[UNKNOWN_PATH]);
}

const LOOKS_INTO: &str = "host: looks into something that is not a list here";

#[test]
fn classes_and_reasons() {
    class("'gateway'", "constant");
    class("1 + 2 * 3 == 7", "constant");
    class("request.method == 'GET' && 'x' in request.headers", "native");
    class("has(request.referer) ? request.referer : ''", "native");
    class("istio_operation_id == 'GetUser'", "derived");
    class("filter_state['wasm.istio_operation_id']", "derived");
    class("filter_state.downstream_peer.labels['app']", "derived");
    class("filter_state['upstream_peer'].workload + '!'", "derived");
    class("filter_state.downstream_peer", "host: reads filter_state, a message");
    class("filter_state.downstream_peer.nothing", "host: reads filter_state, a message");
    class("'app' in filter_state.downstream_peer.labels", LOOKS_INTO);
    class("filter_state['other']", "host: reads filter_state, a message");
    class("request.headers", "host: reads request.headers, the whole map");
    class("request.headers[request.method]", "host: looks up a computed key");
    class("request.path.all(x, x == 'a')", "host: calls all()");
    class("[request.path]", "host: builds a list");
    class(
        "request.path.matches('\\\\bx')",
        "host: has a regular expression only the host knows: word boundary",
    );
    class("request.path.matches(request.method)", "host: matches a computed pattern");
    class("string(request.time)", "host: calls string() of timestamp");
    class("request.time > timestamp('2020-01-01T00:00:00Z')", "host: calls timestamp()");
    class("foo", "host: reads \"foo\", which is not known here");
    class(
        "xds.cluster_metadata.filter_metadata.istio",
        "host: reads xds.cluster_metadata, a message",
    );
}

#[test]
fn node_metadata_is_constant_and_evaluated_by_the_host() {
    let text = "xds.node.metadata['NAME']";
    let expr = compile(text, &Vocabulary::default(), &mut Slots::default()).unwrap();
    assert_eq!((expr.class(), expr.program().is_none()), (&Class::Constant, true));
}

#[test]
fn reads_are_shared_and_headers_are_lower_case() {
    let mut slots = Slots::default();
    for text in [
        "request.headers['X-Num']",
        "'x-num' in request.headers",
        "has(request.headers['a'].b)",
        "request['path']",
    ] {
        compile(text, &Vocabulary::default(), &mut slots).unwrap();
    }
    let headers = Source::Attribute(AttributeId::of("request.headers").unwrap());
    let path = Source::Attribute(AttributeId::of("request.path").unwrap());
    let read =
        |source, path: &[&str]| Read { source, path: path.iter().map(|k| (*k).into()).collect() };
    assert_eq!(slots.reads(), [read(headers, &["x-num"]), read(path, &[])]);
}

#[test]
fn expressions_left_to_the_host_read_nothing() {
    let mut slots = Slots::default();
    compile("request.path == foo", &Vocabulary::default(), &mut slots).unwrap();
    assert!(slots.reads().is_empty());
}

#[test]
fn values() {
    value(
        "request.url_path.startsWith('/users/') && request.method in ['GET', 'PUT']",
        Ok(Value::Bool(true)),
    );
    value("request.headers['x-nope'] == ''", Err("absent"));
    value("request.headers['x-nope'] == '' || true", Ok(Value::Bool(true)));
    value("int(request.headers['X-Num']) + 1", Ok(Value::Int(13)));
    value("'a' + string(connection.id) + request.method", Ok(Value::Str(b"a9GET")));
    value("('a' + 'b').endsWith('b' + '')", Ok(Value::Bool(true)));
    value("string(request.duration)", Ok(Value::Str(b"1.500s")));
    value(
        "string(duration('-0.000001s')) + string(duration('90s'))",
        Ok(Value::Str(b"-0.000001s90s")),
    );
    value("request.duration > duration('1s499ms')", Ok(Value::Bool(true)));
    value("istio_operation_id", Ok(Value::Str(b"GetUser")));
}

#[test]
fn types_are_known_without_a_request() {
    for (text, kind) in [
        ("request.method == 'GET'", Type::Bool),
        ("request.size + 1", Type::Int),
        ("connection.id", Type::Uint),
        ("'a' + request.path", Type::Str),
        ("true ? 1 : 'a'", Type::Dyn),
    ] {
        let expr = compile(text, &Vocabulary::default(), &mut Slots::default()).unwrap();
        assert_eq!(expr.kind(), kind, "{text}");
    }
}

#[test]
fn built_texts_are_bounded() {
    struct Long(Vec<u8>);
    impl Facts for Long {
        fn get(&self, _: Slot) -> Option<Value<'_>> {
            Some(Value::Str(&self.0))
        }
    }
    let text = "size(request.path + request.path)";
    let expr = compile(text, &Vocabulary::default(), &mut Slots::default()).unwrap();
    let program = expr.program().unwrap();
    let eval = |len: usize| {
        program.eval(&Long(vec![b'x'; len]), &mut Vec::new()).map(|v| v == Value::Int(65536))
    };
    assert_eq!(eval(32768), Ok(true));
    assert_eq!(eval(32769), Err(EvalError::TooLong));
}

mod random {
    use super::*;
    use proptest::prelude::*;

    const TOKENS: [&str; 44] = [
        "request",
        ".",
        "method",
        "path",
        "headers",
        "has",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">=",
        "in",
        "&&",
        "||",
        "'a'",
        "\"\"\"",
        "b'\\xff'",
        "r'\\'",
        "1",
        "1u",
        "1.5",
        "0x",
        "true",
        "null",
        "if",
        "=",
        "\\",
        "é",
        "// x\n",
        "startsWith",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the text, compiling it ends in an expression or in problems inside the text, drawn without a panic.
        #[test]
        fn any_text_compiles_or_is_refused(tokens in prop::collection::vec(prop::sample::select(&TOKENS[..]), 0..24)) {
            let text = tokens.join(if tokens.len() % 2 == 0 { " " } else { "" });
            let mut slots = Slots::default();
            let problems = match compile(&text, &Vocabulary::default(), &mut slots) {
                Err(problems) => {
                    prop_assert!(!problems.is_empty());
                    problems
                }
                Ok(expr) => {
                    if let Some(program) = expr.program() {
                        let _ = program.eval(&Request(&slots), &mut Vec::new());
                    }
                    expr.warnings().iter().chain(expr.doubts()).cloned().collect()
                }
            };
            for problem in problems {
                prop_assert!(problem.span.start <= problem.span.end && problem.span.end as usize <= text.len());
                prop_assert!(problem.render(&text).contains('^'));
            }
        }
    }
}
