//! Our regular expressions against the `regex` crate, which shares RE2's meaning for everything generated here, over
//! bytes that need not be UTF-8; and what is refused.

use opmeter_core::expr::{Refused, RegexSet};
use proptest::prelude::*;

fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[ab/]".prop_map(|c| c.to_string()),
        1 => Just("é".to_owned()),
        2 => Just(".".to_owned()),
        2 => Just("[^/]".to_owned()),
        1 => Just("[a-c]".to_owned()),
        1 => Just("[^aé]".to_owned()),
        1 => Just("[b-é]".to_owned()),
        1 => Just("[à-\u{20ac}\u{1f600}]".to_owned()),
        1 => Just("[[:digit:]x]".to_owned()),
        1 => Just("^".to_owned()),
        1 => Just("$".to_owned()),
        1 => Just("(?i:B)".to_owned()),
        1 => Just("(?s:.)".to_owned()),
        1 => Just("\\x{20ac}".to_owned()),
        1 => Just("".to_owned()),
    ]
}

fn pattern() -> impl Strategy<Value = String> {
    let quantifier = prop_oneof![
        Just("*"),
        Just("+"),
        Just("?"),
        Just("{2}"),
        Just("{1,3}"),
        Just("{2,}"),
        Just("*?")
    ];
    atom().prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join("|"))),
            2 => (inner, quantifier.clone()).prop_map(|(of, quantifier)| format!("(?:{of}){quantifier}")),
        ]
    })
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => "[abcx1/]".prop_map(String::into_bytes),
        2 => "[éàÿ€😀B\n]".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn same_as_the_regex_crate(
        patterns in prop::collection::vec(pattern(), 1..6),
        texts in prop::collection::vec(text(), 1..12),
    ) {
        let own = RegexSet::new(patterns.iter().map(String::as_str));
        // A repetition of a repetition is left to the host.
        prop_assume!(!matches!(own, Err((_, Refused::Unsupported(_)))));
        let own = own.unwrap();
        let other = regex::bytes::RegexSet::new(&patterns).unwrap();
        for text in &texts {
            let expected: Vec<usize> = other.matches(text).into_iter().collect();
            let mut found = Vec::new();
            own.each(text, |pattern| found.push(pattern as usize));
            found.sort_unstable();
            found.dedup();
            prop_assert_eq!(&found, &expected, "{:?} {:?}", patterns, text);
            prop_assert_eq!(own.first(text), expected.first().copied());
        }
    }

    /// No pattern text makes the parser fail otherwise than by refusing it.
    #[test]
    fn any_text_is_compiled_or_refused(pattern in "[\\\\\\[\\](){}|*+?.^$a-cxPQEp:<>,0-9-]{0,16}", text in text()) {
        if let Ok(set) = RegexSet::new([pattern.as_str()]) {
            set.first(&text);
        }
    }
}

#[test]
fn refusals() {
    use Refused::{Invalid, Unsupported};
    let deep = "(".repeat(40) + &")".repeat(40);
    for (pattern, expected) in [
        ("(", Invalid("missing \")\"")),
        (")", Invalid("unexpected \")\"")),
        ("[a", Invalid("missing \"]\"")),
        ("*", Invalid("repetition operator without an operand")),
        ("a{1001}", Invalid("invalid repetition size")),
        ("a{2,1}", Invalid("invalid repetition size")),
        ("\\", Invalid("trailing \\")),
        ("\\y", Invalid("invalid escape")),
        ("\\1", Invalid("backreference")),
        ("[b-a]", Invalid("invalid character range")),
        ("[[:nope:]]", Invalid("invalid character class")),
        ("(?x)", Invalid("invalid group")),
        ("(?P<a", Invalid("invalid group name")),
        ("a**", Unsupported("stacked repetition")),
        ("\\bx", Unsupported("word boundary")),
        ("(?m)^a", Unsupported("(?m)")),
        ("\\pL", Unsupported("Unicode class")),
        ("(?i)é", Unsupported("(?i) beyond ASCII")),
        ("((a{100}){100}){100}", Unsupported("too large")),
        ("((){1000}){1000}", Unsupported("too large")),
        (deep.as_str(), Unsupported("groups nested too deep")),
    ] {
        assert_eq!(RegexSet::new([pattern]).unwrap_err(), (0, expected), "{pattern}");
    }
}

#[test]
fn memory_stays_bounded_whatever_is_searched() {
    let set = RegexSet::new(["(a|b)*a(a|b){12}c"]).unwrap();
    let mut seed = 1_u64;
    for _ in 0..200 {
        let text: Vec<u8> = (0..500)
            .map(|_| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                b'a' + (seed >> 63) as u8
            })
            .collect();
        assert_eq!(set.first(&text), None);
        assert!(set.memory() < 100_000, "{}", set.memory());
    }
}
