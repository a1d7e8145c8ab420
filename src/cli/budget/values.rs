//! How many values a label can have.

use cel::common::ast::{Expr, operators};
use opmeter_core::config::{Attribute, Config};

use crate::expression::{Expression, path, reads};

/// Values of a label, and what they depend on: two labels of one source never multiply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// How many; `None` when nothing bounds them.
    pub most: Option<u64>,
    /// The attribute it is read from, or else the expression.
    pub of: String,
}

/// Values of a dimension.
pub fn of_dimension(text: &str, config: &Config) -> Values {
    let attribute = |name: &str| config.attributes.iter().find(|a| a.name == name);
    let Some(expression) = Expression::parse(text) else {
        return Values { most: Some(1), of: text.to_owned() };
    };
    let read = path(expression.tree());
    let name = read.as_deref().map(|read| {
        read.strip_prefix("filter_state['wasm.").and_then(|r| r.strip_suffix("']")).unwrap_or(read)
    });
    if let Some(attribute) = name.and_then(attribute) {
        let all = config.attributes.iter().filter(|a| a.name == attribute.name);
        let most = all.map(of_attribute).sum::<u64>() + 1;
        return Values { most: Some(most), of: attribute.name.clone() };
    }
    Values { most: branches(expression.tree()), of: text.trim().to_owned() }
}

/// Values an attribute can be given.
pub fn of_attribute(attribute: &Attribute) -> u64 {
    let entries = attribute.entries.iter().map(|entry| entry.value.as_str());
    let operations = attribute.operations.iter().map(|operation| operation.value.as_str());
    let described = attribute.described.iter().map(|operation| operation.name.as_str());
    let mut all: Vec<&str> = entries.chain(operations).chain(described).collect();
    all.sort_unstable();
    all.dedup();
    all.len() as u64
}

/// Literals that a choice can end with; `None` when an attribute is among them.
fn branches(tree: &Expr) -> Option<u64> {
    match tree {
        Expr::Literal(_) => Some(1),
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            let [_, yes, no] = call.args.as_slice() else { return None };
            Some(branches(&yes.expr)? + branches(&no.expr)?)
        }
        Expr::Call(call) if call.func_name == operators::ADD || call.func_name == "string" => {
            call.args.iter().try_fold(1, |all, arg| Some(all * branches(&arg.expr)?))
        }
        Expr::Call(_) if reads(tree).is_empty() => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use opmeter_core::config;

    use super::of_dimension;

    #[track_caller]
    fn most(text: &str) -> Option<u64> {
        let config = r#"{"attributes": [{"output_attribute": "op",
            "match": [{"condition": "true", "value": "a"}, {"value": "b"}, {"value": "a"}]}]}"#;
        let (config, _) = config::parse(config.as_bytes()).unwrap();
        of_dimension(text, &config).most
    }

    #[test]
    fn values_are_counted_where_the_configuration_tells() {
        assert_eq!(most("'x'"), Some(1));
        // a, b, and unknown.
        assert_eq!(most("op"), Some(3));
        assert_eq!(most("filter_state['wasm.op']"), Some(3));
        assert_eq!(most("request.size > 100 ? 'big' : 'small'"), Some(2));
        assert_eq!(most("request.path.startsWith('/a')"), Some(2));
    }

    #[test]
    fn an_attribute_of_the_request_has_no_bound() {
        assert_eq!(most("request.headers['x']"), None);
        assert_eq!(most("has(request.host) ? request.host : ''"), None);
    }
}
