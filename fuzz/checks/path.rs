//! Paths against rule sets.

use crate::reference;
use arbitrary::{Result, Unstructured};
use opmeter_core::operation::{Template, Tree};

/// What templates are put together from.
const SEGMENTS: [&str; 16] = [
    "a", "b", "ab", "", "{x}", "{y}", "a{x}", "{x}b", "{x}a{y}", "b{x}a", "%61", "%2F", "a%2fb",
    "%", "{x}%62", "ba",
];
/// What paths are put together from.
const PIECES: [&[u8]; 16] = [
    b"/", b"/", b"/a", b"/b", b"/ab", b"a", b"b", b"ab", b"%61", b"%2F", b"%2f", b"%", b"%25",
    b"?/a", b"#", b"\xff",
];
const METHODS: [&str; 3] = ["GET", "PUT", "get"];

/// A rule set and paths, made of a few words each: the tree finds what the plain reference finds, the best of the
/// templates that match, and calls equal templates a conflict.
pub fn path(data: &[u8]) {
    let _ = compare(&mut Unstructured::new(data));
}

fn compare(input: &mut Unstructured<'_>) -> Result<()> {
    let mut tree = Tree::default();
    let mut kept: Vec<(Option<&str>, reference::Template, String)> = Vec::new();
    for _ in 0..input.int_in_range(1..=8)? {
        let text = template(input)?;
        let method = METHODS.get(input.int_in_range(0..=3)?).copied();
        let ours = Template::parse(&text).expect("a template");
        let plain = reference::Template::parse(&text).expect("a template");
        let inserted = tree.insert(method, &ours, kept.len() as u32);
        let twin = kept.iter().position(|(m, known, _)| *m == method && *known == plain);
        assert_eq!(
            inserted.err().map(|conflict| conflict.with),
            twin.map(|at| at as u32),
            "{text}"
        );
        if twin.is_none() {
            kept.push((method, plain, text));
        }
    }
    while !input.is_empty() {
        let method = *input.choose(&METHODS)?;
        let mut path = Vec::new();
        for _ in 0..input.int_in_range(1..=5)? {
            path.extend_from_slice(input.choose(&PIECES)?);
        }
        let matching = kept.iter().enumerate().filter(|(_, (m, template, _))| {
            m.is_none_or(|m| m == method) && template.matches(&path)
        });
        let best = matching.min_by_key(|(_, (m, template, _))| (template.rank(), m.is_none()));
        let found = tree.find(method.as_bytes(), &path);
        assert_eq!(
            found,
            best.map(|(at, _)| at as u32),
            "{method} {} in {kept:?}",
            path.escape_ascii()
        );
    }
    Ok(())
}

fn template(input: &mut Unstructured<'_>) -> Result<String> {
    let mut text = String::new();
    for _ in 0..input.int_in_range(1..=4)? {
        text.push('/');
        text.push_str(input.choose(&SEGMENTS)?);
    }
    if input.ratio(1, 4)? {
        text.push_str("/{*rest}");
    }
    Ok(text)
}
