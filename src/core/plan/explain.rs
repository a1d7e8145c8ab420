//! Where each expression of a configuration is evaluated, and why: for people, no part of a plan.

use crate::config::{Config, When};
use crate::expr::{Class, Expr, Problem, Slots, Vocabulary, compile, compile_text};
use crate::operation::MatcherBuilder;

/// An expression and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// JSON path, such as `metrics[0].dimensions.x`.
    pub path: String,
    /// The expression.
    pub text: String,
    /// Where it is evaluated, or why it is left out; what a proxy says of it is not asked.
    pub place: Result<Place, Vec<Problem>>,
}

/// Where an expression is evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its class, with the reason if it is left to the host.
    pub class: Class,
    /// Whether it is a condition over method and path alone, looked up together with all others.
    pub looked_up: bool,
    /// What is doubtful about it.
    pub doubts: Vec<Problem>,
}

/// All expressions of a configuration: conditions of attributes, definitions, then each override of
/// `telemetry` and `metrics`.
///
/// ```
/// let text = br#"{"metrics": [{"dimensions": {"a": "request.method", "b": "xds.cluster_metadata.x"}}]}"#;
/// let (config, _) = opmeter_core::config::parse(text).unwrap();
/// let told: Vec<String> = opmeter_core::plan::explain(&config)
///     .into_iter()
///     .map(|e| format!("{}: {}", e.path, e.place.unwrap().class))
///     .collect();
/// assert_eq!(told, [
///     "metrics[0].dimensions.a: native",
///     "metrics[0].dimensions.b: host: reads xds.cluster_metadata, a message",
/// ]);
/// ```
pub fn explain(config: &Config) -> Vec<Explained> {
    let names: Vec<String> = config.attributes.iter().map(|a| a.name.clone()).collect();
    let mut all = Vec::new();
    for (i, attribute) in config.attributes.iter().enumerate() {
        for (j, entry) in attribute.entries.iter().enumerate() {
            let path = format!("attributes[{i}].match[{j}].condition");
            all.extend(condition(path, &entry.condition, &names, true));
        }
    }
    for (i, definition) in config.definitions.iter().enumerate() {
        all.push(text(format!("definitions[{i}].value"), &definition.value, &names));
    }
    for change in &config.metrics {
        if let When::Holds(text) = &change.when {
            all.extend(condition(format!("{}.match", change.path), text, &names, false));
        }
        for dimension in &change.dimensions {
            all.push(text(dimension.path.clone(), &dimension.value, &names));
        }
    }
    all
}

/// `None` for an empty condition, which always holds.
fn condition(path: String, text: &str, names: &[String], of_attribute: bool) -> Option<Explained> {
    if text.is_empty() {
        return None;
    }
    let mut slots = Slots::default();
    let expr = compile(text, &Vocabulary { derived: names }, &mut slots);
    let place = expr.map(|expr| {
        let looked_up = of_attribute && MatcherBuilder::default().condition(Some(&expr), &slots);
        place(&expr, looked_up)
    });
    Some(Explained { path, text: text.to_owned(), place })
}

fn text(path: String, text: &str, names: &[String]) -> Explained {
    let expr = compile_text(text, &Vocabulary { derived: names }, &mut Slots::default());
    Explained { path, text: text.to_owned(), place: expr.map(|expr| place(&expr, false)) }
}

fn place(expr: &Expr, looked_up: bool) -> Place {
    Place { class: expr.class().clone(), looked_up, doubts: expr.warnings().to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_is_told_with_its_place() {
        let config = br#"{
            "attributes":[{"output_attribute":"op","match":[
                {"value":"a","condition":"request.url_path == '/a' && request.method == 'GET'"},
                {"value":"b","condition":"request.headers['x'] == 'b'"},
                {"value":"c","condition":"request.headers.exists(h, h == 'c')"},
                {"value":"d"}]}],
            "definitions":[{"name":"n","value":"1"}],
            "metrics":[{"match":"request.method == 'GET'","dimensions":{
                "x":"op","y":"filter_state.upstream_peer.workload + '!'","z":"request.metod","w":"1 +"}}]}"#;
        let (config, _) = crate::config::parse(config).unwrap();
        let told: Vec<String> = explain(&config)
            .into_iter()
            .map(|Explained { path, text, place }| match place {
                Ok(place) => {
                    let doubts: Vec<String> = place.doubts.iter().map(|p| p.line(&text)).collect();
                    let looked_up = if place.looked_up { ", looked up" } else { "" };
                    format!("{path}: {}{looked_up}{}", place.class, doubts.concat())
                }
                Err(problems) => format!("{path}: {}", problems[0].line(&text)),
            })
            .collect();
        assert_eq!(
            told,
            [
                "attributes[0].match[0].condition: native, looked up",
                "attributes[0].match[1].condition: native",
                "attributes[0].match[2].condition: host: calls exists()",
                "definitions[0].value: constant",
                "metrics[0].match: native",
                "metrics[0].dimensions.w: 1:4: expected an expression, found end of expression",
                "metrics[0].dimensions.x: derived",
                "metrics[0].dimensions.y: derived",
                "metrics[0].dimensions.z: host: reads \"request.metod\", which is not known here\
                 1:1: unknown attribute \"request.metod\" (did you mean \"request.method\"?)",
            ]
        );
    }
}
