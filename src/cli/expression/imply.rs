//! Whether a rule can still match after an earlier one.

use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use regex::Regex;

use super::read::{literal, path};

/// A condition about one attribute; conditions joined by `&&` become several.
#[derive(Debug, PartialEq)]
enum Fact<'t> {
    Is(String, &'t str),
    StartsWith(String, &'t str),
    EndsWith(String, &'t str),
    Contains(String, &'t str),
    Matches(String, &'t str),
    Other(&'t Expr),
}

/// Whether every stream for which `later` holds has `earlier` hold too, as far as the texts tell.
///
/// Understood are equality, `startsWith`, `endsWith`, `contains` and `matches` with literals, joined by `&&` and, in
/// `earlier`, by `||`; all else must be the same text.
pub fn covers(earlier: &Expr, later: &Expr) -> bool {
    if let Some([a, b]) = call(earlier, operators::LOGICAL_OR) {
        return covers(a, later) || covers(b, later);
    }
    if let Some([a, b]) = call(later, operators::LOGICAL_OR) {
        return covers(earlier, a) && covers(earlier, b);
    }
    let (earlier, later) = (facts(earlier), facts(later));
    earlier.iter().all(|needed| later.iter().any(|given| follows(given, needed)))
}

/// Whether a condition holds for every stream.
pub fn is_always(tree: &Expr) -> bool {
    matches!(tree, Expr::Literal(LiteralValue::Boolean(value)) if *value.inner())
}

fn facts(tree: &Expr) -> Vec<Fact<'_>> {
    if is_always(tree) {
        return Vec::new();
    }
    if let Some([a, b]) = call(tree, operators::LOGICAL_AND) {
        return facts(a).into_iter().chain(facts(b)).collect();
    }
    vec![fact(tree)]
}

fn fact(tree: &Expr) -> Fact<'_> {
    if let Some([a, b]) = call(tree, operators::EQUALS) {
        for (attribute, value) in [(a, b), (b, a)] {
            if let (Some(attribute), Some(value)) = (path(attribute), literal(value)) {
                return Fact::Is(attribute, value);
            }
        }
    }
    if let Expr::Call(CallExpr { func_name, target, args }) = tree {
        let parts: Vec<&Expr> =
            target.iter().map(|t| &t.expr).chain(args.iter().map(|a| &a.expr)).collect();
        if let [of, with] = parts.as_slice()
            && let (Some(of), Some(with)) = (path(of), literal(with))
        {
            match func_name.as_str() {
                "startsWith" => return Fact::StartsWith(of, with),
                "endsWith" => return Fact::EndsWith(of, with),
                "contains" => return Fact::Contains(of, with),
                "matches" => return Fact::Matches(of, with),
                _ => {}
            }
        }
    }
    Fact::Other(tree)
}

fn follows(given: &Fact<'_>, needed: &Fact<'_>) -> bool {
    use Fact::{Contains, EndsWith, Is, Matches, StartsWith};
    if given == needed {
        return true;
    }
    match (given, needed) {
        (Is(a, text), StartsWith(b, part)) => a == b && text.starts_with(part),
        (Is(a, text), EndsWith(b, part)) => a == b && text.ends_with(part),
        (Is(a, text), Contains(b, part)) => a == b && text.contains(part),
        (Is(a, text), Matches(b, regex)) => {
            a == b && Regex::new(regex).is_ok_and(|regex| regex.is_match(text))
        }
        (StartsWith(a, text), StartsWith(b, part)) => a == b && text.starts_with(part),
        (EndsWith(a, text), EndsWith(b, part)) => a == b && text.ends_with(part),
        (StartsWith(a, text) | EndsWith(a, text) | Contains(a, text), Contains(b, part)) => {
            a == b && text.contains(part)
        }
        _ => false,
    }
}

fn call<'t>(tree: &'t Expr, name: &str) -> Option<[&'t Expr; 2]> {
    match tree {
        Expr::Call(call) if call.func_name == name => match call.args.as_slice() {
            [a, b] => Some([&a.expr, &b.expr]),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Expression;
    use super::covers;

    #[track_caller]
    fn case(earlier: &str, later: &str, expected: bool) {
        let parse = |text| Expression::parse(text).unwrap();
        let (a, b) = (parse(earlier), parse(later));
        assert_eq!(covers(a.tree(), b.tree()), expected, "{earlier} before {later}");
    }

    #[test]
    fn a_wider_rule_covers_a_narrower_one() {
        case("true", "request.method == 'GET'", true);
        case("request.path.startsWith('/a')", "request.path == '/a/b'", true);
        case(
            "request.path.startsWith('/a')",
            "request.path.startsWith('/a/b') && request.method == 'GET'",
            true,
        );
        case("request.path.matches('^/a/[0-9]+$')", "'/a/7' == request.path", true);
        case("request.path == '/a' || request.path == '/b'", "request.path == '/b'", true);
        case("request.path.contains('x')", "request.path == '/x' || request.path == '/xx'", true);
        case("size(request.path) > 3", "size(request.path) > 3 && request.method == 'GET'", true);
    }

    #[test]
    fn a_rule_that_can_still_match_is_not_covered() {
        case("request.path == '/a' && request.method == 'GET'", "request.path == '/a'", false);
        case("request.path.startsWith('/a/b')", "request.path.startsWith('/a')", false);
        case("request.url_path == '/a'", "request.path == '/a'", false);
        case("request.path.matches('^/a$')", "request.path.startsWith('/a')", false);
        case("request.path == '/a'", "request.path == '/a' || request.path == '/b'", false);
    }
}
