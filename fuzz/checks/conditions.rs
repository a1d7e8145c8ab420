//! Conditions over path and method against a reader that tries one after the other.

use arbitrary::{Result, Unstructured};
use opmeter_core::expr::{Expr, Facts, Slot, Slots, Source, Value, Vocabulary, compile};
use opmeter_core::operation::{Found, MatcherBuilder};
use regex::bytes::Regex;
use std::cell::OnceCell;

const TARGETS: [&str; 4] = ["request.method", "request.path", "request.url_path", "request.host"];
const TEXTS: [&str; 12] =
    ["GET", "PUT", "/", "/a", "/a/b", "/ab", "b", "a?x", "/%61", "", "?x", "/b/a"];
const PATTERNS: [&str; 10] =
    ["^/a", "b$", "^/[^/]+$", "^/a/[ab]+$", "a.b", "^(/a|/b)(/.*)?$", "x", "^GET$", "", "(?i)^/A"];
const METHODS: [&[u8]; 3] = [b"GET", b"PUT", b"get"];
const PIECES: [&[u8]; 8] = [b"/a", b"/b", b"/ab", b"/", b"b", b"?x", b"/%61", b"\xff"];

/// A condition as text, and what it means.
enum Condition {
    Test(usize, Test, usize),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

#[derive(Clone, Copy)]
enum Test {
    Equal,
    Unequal,
    OneOf,
    StartsWith,
    EndsWith,
    Contains,
    Matches,
}

struct Request {
    method: &'static [u8],
    path: Vec<u8>,
}

/// A list of conditions and requests, made of a few words each: the first condition that holds is found, however the
/// matcher gets there. One that reads the host as well is asked of the caller, in its turn.
pub fn conditions(data: &[u8]) {
    let _ = compare(&mut Unstructured::new(data));
}

fn compare(input: &mut Unstructured<'_>) -> Result<()> {
    let mut slots = Slots::default();
    let mut builder = MatcherBuilder::default();
    let mut all: Vec<(Condition, Expr)> = Vec::new();
    for _ in 0..input.int_in_range(1..=4)? {
        let condition = Condition::read(input, 2)?;
        let text = condition.text();
        let expr = compile(&text, &Vocabulary::default(), &mut slots).expect("a condition");
        all.push((condition, expr));
    }
    for (_, expr) in &all {
        builder.condition(Some(expr), &slots);
    }
    let matcher = builder.build();
    for _ in 0..input.int_in_range(1..=4)? {
        let mut request = Request { method: input.choose(&METHODS)?, path: Vec::new() };
        for _ in 0..input.int_in_range(1..=3)? {
            request.path.extend_from_slice(input.choose(&PIECES)?);
        }
        let facts = Known { request: &request, slots: &slots };
        let found = matcher.find(request.method, &request.path, &request.path, |number| {
            let program = all[number as usize].1.program().expect("a native condition");
            program.test(&facts, &mut Vec::new())
        });
        let expected = all.iter().position(|(condition, _)| condition.holds(&request));
        let expected = expected.map(|at| Found::Condition(at as u32));
        let texts = || all.iter().map(|(condition, _)| condition.text()).collect::<Vec<_>>();
        assert_eq!(found, Ok(expected), "{} in {:?}", request.path.escape_ascii(), texts());
    }
    Ok(())
}

// === impl Condition ===

impl Condition {
    fn read(input: &mut Unstructured<'_>, depth: usize) -> Result<Self> {
        let several = |input: &mut Unstructured<'_>| -> Result<Vec<Self>> {
            let count = input.int_in_range(2..=3)?;
            (0..count).map(|_| Self::read(input, depth - 1)).collect()
        };
        Ok(match input.int_in_range(0..=15)? {
            0..=2 if depth > 0 => Condition::All(several(input)?),
            3..=5 if depth > 0 => Condition::Any(several(input)?),
            6 if depth > 0 => Condition::Not(Box::new(Self::read(input, depth - 1)?)),
            test => {
                let test = match test % 8 {
                    0 | 7 => Test::Equal,
                    1 => Test::Unequal,
                    2 => Test::OneOf,
                    3 => Test::StartsWith,
                    4 => Test::EndsWith,
                    5 => Test::Contains,
                    _ => Test::Matches,
                };
                let words =
                    if matches!(test, Test::Matches) { PATTERNS.len() } else { TEXTS.len() };
                let target = input.int_in_range(0..=TARGETS.len() - 1)?;
                Condition::Test(target, test, input.int_in_range(0..=words - 1)?)
            }
        })
    }

    fn text(&self) -> String {
        let join = |parts: &[Condition], by: &str| {
            let parts: Vec<String> = parts.iter().map(Condition::text).collect();
            format!("({})", parts.join(by))
        };
        match self {
            Condition::Not(of) => format!("!({})", of.text()),
            Condition::All(parts) => join(parts, " && "),
            Condition::Any(parts) => join(parts, " || "),
            Condition::Test(target, test, word) => {
                let (target, text) =
                    (TARGETS[*target], TEXTS.get(*word).copied().unwrap_or_default());
                match test {
                    Test::Equal => format!("{target} == '{text}'"),
                    Test::Unequal => format!("'{text}' != {target}"),
                    Test::OneOf => format!("{target} in ['{text}', '/ab']"),
                    Test::StartsWith => format!("{target}.startsWith('{text}')"),
                    Test::EndsWith => format!("{target}.endsWith('{text}')"),
                    Test::Contains => format!("{target}.contains('{text}')"),
                    Test::Matches => format!("{target}.matches('{}')", PATTERNS[*word]),
                }
            }
        }
    }

    fn holds(&self, request: &Request) -> bool {
        match self {
            Condition::Not(of) => !of.holds(request),
            Condition::All(parts) => parts.iter().all(|part| part.holds(request)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(request)),
            Condition::Test(target, test, word) => {
                let value = request.value(TARGETS[*target]);
                let text = TEXTS.get(*word).map_or(&b""[..], |text| text.as_bytes());
                match test {
                    Test::Equal => value == text,
                    Test::Unequal => value != text,
                    Test::OneOf => value == text || value == b"/ab",
                    Test::StartsWith => value.starts_with(text),
                    Test::EndsWith => value.ends_with(text),
                    Test::Contains => {
                        text.is_empty() || value.windows(text.len()).any(|w| w == text)
                    }
                    Test::Matches => matches(*word, value),
                }
            }
        }
    }
}

// === impl Request ===

impl Request {
    fn value(&self, attribute: &str) -> &[u8] {
        match attribute {
            "request.method" => self.method,
            "request.path" => &self.path,
            "request.url_path" => self.path.split(|byte| *byte == b'?').next().unwrap_or_default(),
            _ => b"/a",
        }
    }
}

fn matches(pattern: usize, value: &[u8]) -> bool {
    thread_local! {
        static REGEXES: OnceCell<Vec<Regex>> = const { OnceCell::new() };
    }
    REGEXES.with(|regexes| {
        let compile = || PATTERNS.map(|pattern| Regex::new(pattern).expect("a regex")).into();
        regexes.get_or_init(compile)[pattern].is_match(value)
    })
}

/// The request as expressions read it.
struct Known<'r> {
    request: &'r Request,
    slots: &'r Slots,
}

impl Facts for Known<'_> {
    fn get(&self, slot: Slot) -> Option<Value<'_>> {
        let Source::Attribute(id) = self.slots.read(slot)?.source else { return None };
        Some(Value::Str(self.request.value(id.attribute()?.name)))
    }
}
