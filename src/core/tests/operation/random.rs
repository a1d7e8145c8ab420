//! Random templates and conditions against naive reference matchers.

use super::check;
use opmeter_core::operation::{Template, Tree};
use proptest::prelude::*;

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]{1,2}",
        2 => Just("{x}".to_owned()),
        1 => Just("a{x}".to_owned()),
        1 => Just("{x}b".to_owned()),
        1 => Just("{x}b{y}".to_owned()),
    ]
}

fn template_text() -> impl Strategy<Value = String> {
    (prop::collection::vec(segment(), 1..4), 0..4_usize).prop_map(|(segments, end)| {
        let end = ["", "/", "/{*r}", ""][end];
        format!("/{}{end}", segments.join("/"))
    })
}

fn path() -> impl Strategy<Value = String> {
    "(/[ab]{0,3}){1,4}(/%61|/a%2fb)?(\\?x=/a)?"
}

/// Precedence of a template, segment by segment, as a text in the order of the rules.
fn rank(template: &str) -> Vec<(u8, i64, i64, usize)> {
    template[1..]
        .split('/')
        .map(|segment| match segment {
            "{x}" => (2, 0, 0, 0),
            "{*r}" => (3, 0, 0, 0),
            literal if !literal.contains('{') => (0, 0, 0, 0),
            mixed => {
                let bare = mixed.replace("{x}", "").replace("{y}", "");
                (
                    1,
                    -(bare.len() as i64),
                    -(mixed.find('{').unwrap() as i64),
                    mixed.matches('{').count(),
                )
            }
        })
        .collect()
}

fn atom() -> impl Strategy<Value = String> {
    let target = prop_oneof![Just("request.path"), Just("request.url_path")];
    prop_oneof![
        (target.clone(), path()).prop_map(|(t, p)| format!("{t} == '{p}'")),
        (target.clone(), path()).prop_map(|(t, p)| format!("{t} != '{p}'")),
        (target.clone(), path(), path()).prop_map(|(t, a, b)| format!("{t} in ['{a}', '{b}']")),
        (target.clone(), path()).prop_map(|(t, p)| format!("{t}.startsWith('{p}')")),
        (target.clone(), "[ab/]{0,2}").prop_map(|(t, p)| format!("{t}.endsWith('{p}')")),
        (target.clone(), "[ab/]{0,2}").prop_map(|(t, p)| format!("{t}.contains('{p}')")),
        (target, "\\^?(/[ab]|/\\[\\^/\\]\\+|a\\*|b\\?){1,3}\\$?")
            .prop_map(|(t, p)| format!("{t}.matches('{p}')")),
        Just("request.method == 'GET'".to_owned()),
        Just("request.method in ['PUT', 'GET']".to_owned()),
        Just("request.host == 'h'".to_owned()),
        Just("request.referer == 'h'".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    atom().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" && "))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" || "))),
            inner.prop_map(|of| format!("!({of})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The tree gives the best ranked of the templates that match, as [`Template::matches`] defines it.
    #[test]
    fn tree_is_the_best_of_its_templates(
        texts in prop::collection::vec((template_text(), 0..3_usize), 1..12),
        paths in prop::collection::vec(path(), 1..8),
    ) {
        let methods = [None, Some("GET"), Some("PUT")];
        let mut tree = Tree::default();
        let mut kept: Vec<(Template, Option<&str>)> = Vec::new();
        for (text, method) in &texts {
            let template = Template::parse(text).unwrap();
            if tree.insert(methods[*method], &template, kept.len() as u32).is_ok() {
                kept.push((template, methods[*method]));
            }
        }
        for path in &paths {
            let best = kept.iter().enumerate()
                .filter(|(_, (t, m))| m.is_none_or(|m| m == "GET") && t.matches(path.as_bytes()))
                .min_by_key(|(at, (t, m))| (rank(t.text()), m.is_none(), *at));
            prop_assert_eq!(tree.find(b"GET", path.as_bytes()), best.map(|(at, _)| at as u32), "{} {:?}", path, texts);
        }
    }

    /// The first condition in order wins, whatever is indexed.
    #[test]
    fn conditions_in_order(
        texts in prop::collection::vec(condition(), 1..8),
        requests in prop::collection::vec((prop_oneof![Just("GET".to_owned()), Just("PUT".to_owned()), Just("X".to_owned())], path()), 1..8),
    ) {
        check(&texts, &requests, None);
    }
}
