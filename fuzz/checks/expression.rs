//! Expression text.

use opmeter_core::expr::limits::{MAX_BUILT, MAX_PROBLEMS};
use opmeter_core::expr::{
    AttributeType, EvalError, Facts, Problem, Slot, Slots, Source, Type, Value, Vocabulary,
    compile, compile_text,
};

/// Any text ends in an expression or in problems that lie inside it; an expression has a value or an error, of the type
/// that was announced, for any facts; and put into another expression, as for the host, it stays what it is.
pub fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let derived = ["op".to_owned(), "filter_state.upstream_peer".to_owned()];
    let vocabulary = Vocabulary { derived: &derived };
    let mut slots = Slots::default();
    let compiled = compile(text, &vocabulary, &mut slots);
    let inside = compile(&format!("(\n{text}\n)"), &vocabulary, &mut Slots::default());
    match (&compiled, &inside) {
        (Ok(alone), Ok(inside)) => {
            assert_eq!(alone.class().to_string(), inside.class().to_string())
        }
        // One level more may be one too many.
        (Ok(_), Err(problems)) => {
            assert!(problems.iter().all(|problem| problem.message.contains("deeper")), "{text}");
        }
        // `a) + (b` is refused alone, and so is never put into another one.
        (Err(_), _) => {}
    }
    let as_text = compile_text(text, &vocabulary, &mut Slots::default());
    assert_eq!(as_text.is_ok(), compiled.is_ok(), "{text}");
    let expr = match compiled {
        Ok(expr) => expr,
        Err(problems) => {
            assert!(!problems.is_empty(), "{text}");
            return check(&problems, text);
        }
    };
    check(expr.warnings(), text);
    if expr.program().is_none() {
        assert!(slots.reads().is_empty(), "{text} leaves reads behind");
    }
    for request in [0, data.len()] {
        let facts = Request { slots: &slots, request };
        if let Some(program) = expr.program() {
            let mut built = Vec::new();
            let value = program.eval(&facts, &mut built);
            assert!(is_of(value, expr.kind()), "{text}: {value:?} is no {:?}", expr.kind());
        }
        if let Some(program) = as_text.as_ref().ok().and_then(|expr| expr.program()) {
            let mut out = b"before".to_vec();
            let written = program.write(&facts, &mut out);
            assert!(out.starts_with(b"before") && (written.is_ok() || out.len() == 6), "{text}");
            assert!(out.len() <= 6 + MAX_BUILT.max(text.len()), "{text}");
        }
    }
}

fn check(problems: &[Problem], text: &str) {
    assert!(problems.len() <= MAX_PROBLEMS);
    for problem in problems {
        let span = problem.span.start as usize..problem.span.end as usize;
        assert!(text.get(span).is_some(), "{:?} in {text:?}", problem.span);
        assert!(!problem.message.is_empty() && problem.render(text).contains('^'));
    }
}

fn is_of(value: Result<Value<'_>, EvalError>, kind: Type) -> bool {
    let Ok(value) = value else { return true };
    match kind {
        Type::Null => matches!(value, Value::Null),
        Type::Bool => matches!(value, Value::Bool(_)),
        Type::Int => matches!(value, Value::Int(_)),
        Type::Uint => matches!(value, Value::Uint(_)),
        Type::Double => matches!(value, Value::Double(_)),
        Type::Str => matches!(value, Value::Str(_)),
        Type::Bytes => matches!(value, Value::Bytes(_)),
        Type::Duration => matches!(value, Value::Duration(_)),
        Type::Timestamp => matches!(value, Value::Timestamp(_)),
        _ => true,
    }
}

/// A request whose values are of their types, and sometimes absent.
struct Request<'s> {
    slots: &'s Slots,
    request: usize,
}

impl Facts for Request<'_> {
    fn get(&self, slot: Slot) -> Option<Value<'_>> {
        const TEXTS: [&[u8]; 5] = [b"GET", b"/items/7?x=a", b"", b"12", b"\xff\x80/a"];
        const NUMBERS: [i64; 5] = [0, 1, -1, i64::MAX, i64::MIN];
        let at = self.request.wrapping_add(usize::from(slot.0));
        if at % 7 == 6 {
            return None;
        }
        let (text, number) = (TEXTS[at % 5], NUMBERS[at % 5]);
        let Source::Attribute(id) = self.slots.read(slot)?.source else {
            return Some(Value::Str(text));
        };
        match id.attribute()?.kind {
            AttributeType::Str | AttributeType::Headers => Some(Value::Str(text)),
            AttributeType::Int => Some(Value::Int(number)),
            AttributeType::Uint => Some(Value::Uint(number as u64)),
            AttributeType::Bool => Some(Value::Bool(number > 0)),
            AttributeType::Duration => Some(Value::Duration(number)),
            AttributeType::Timestamp => Some(Value::Timestamp(number)),
            AttributeType::Message => None,
        }
    }
}
