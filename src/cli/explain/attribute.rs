//! Why an attribute has its value.

use opmeter_core::config::{Attribute, Config, PathSource, Phase as AttributePhase};
use opmeter_core::operation::Tree;
use serde::Serialize;

use super::ExplainArgs;
use super::host::Model;
use crate::expression::Expression;

/// An attribute and the rule that decided.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// Name.
    pub name: String,
    /// Value; `None` when no rule matched.
    pub value: Option<String>,
    /// JSON path of the rule.
    pub rule: String,
    /// What it says.
    pub says: String,
    /// How it is decided in the proxy.
    pub class: String,
    /// When.
    pub phase: &'static str,
}

/// The request in a phase.
#[derive(Clone, Copy, Debug)]
pub struct Phase<'a> {
    /// What Envoy's attributes are then.
    pub model: &'a Model,
    /// The request, with its path then.
    pub args: &'a ExplainArgs,
}

/// All attributes of a configuration, for a request as it was received and as it is at its end.
pub fn explained(config: &Config, received: &Phase<'_>, end: &Phase<'_>) -> Vec<Explained> {
    let all = config.attributes.iter().enumerate();
    all.map(|(i, attribute)| {
        let conditions = match attribute.phase {
            AttributePhase::OnRequest => received,
            AttributePhase::AfterResponse => end,
        };
        let templates = match attribute.path {
            PathSource::Sent => conditions,
            PathSource::Received => received,
        };
        explain(i, attribute, config, conditions.model, templates.args)
    })
    .collect()
}

/// Where the expression at a path of the configuration is evaluated.
pub fn class(path: &str, config: &Config) -> String {
    let all = opmeter_core::plan::explain(config);
    match all.into_iter().find(|explained| explained.path == path).map(|found| found.place) {
        Some(Ok(place)) if place.looked_up => format!("{}, looked up", place.class),
        Some(Ok(place)) => place.class.to_string(),
        Some(Err(_)) => "left out".to_owned(),
        None => String::new(),
    }
}

fn explain(
    i: usize,
    attribute: &Attribute,
    config: &Config,
    model: &Model,
    args: &ExplainArgs,
) -> Explained {
    let at = format!("attributes[{i}]");
    let found = |value: Option<&str>, rule: String, says: String, class: String| Explained {
        name: attribute.name.clone(),
        value: value.map(str::to_owned),
        rule,
        says,
        class,
        phase: match attribute.phase {
            AttributePhase::OnRequest => "ON_REQUEST",
            AttributePhase::AfterResponse => "AFTER_RESPONSE",
        },
    };
    for (j, entry) in attribute.entries.iter().enumerate() {
        let rule = format!("{at}.match[{j}]");
        let class = || class(&format!("{rule}.condition"), config);
        let condition = entry.condition.trim();
        if condition.is_empty() {
            return found(Some(&entry.value), rule, "always".to_owned(), "constant".to_owned());
        }
        let holds = Expression::parse(condition).and_then(|expression| model.value(&expression));
        match holds {
            Some(cel::Value::Bool(true)) => {
                let class = class();
                return found(Some(&entry.value), rule, condition.to_owned(), class);
            }
            Some(cel::Value::Bool(false)) => {}
            _ => {
                let says = format!("{condition} (cannot be evaluated for this request)");
                let class = class();
                return found(None, rule, says, class);
            }
        }
    }
    let looked_up = |tree: &Tree| tree.find(args.method.as_bytes(), args.path.as_bytes());
    let which = |says: String| match (&args.rewrite, attribute.path) {
        (None, _) => says,
        (Some(_), PathSource::Received) => format!("{says} (path as received)"),
        (Some(_), PathSource::Sent) => format!("{says} (path as sent)"),
    };
    let mut operations = Tree::default();
    for (number, operation) in (0..).zip(&attribute.operations) {
        // Those with conflicts have been left out already.
        let _ = operations.insert(operation.method.as_deref(), &operation.template, number);
    }
    if let Some(j) = looked_up(&operations).map(|number| number as usize) {
        let operation = &attribute.operations[j];
        let method = operation.method.as_deref().unwrap_or("any method");
        let says = format!("{method} {}{}", operation.template.text(), as_get(args, method));
        let rule = format!("{at}.operations[{j}]");
        return found(Some(&operation.value), rule, which(says), "template tree".to_owned());
    }
    let mut described = Tree::default();
    for (number, operation) in (0..).zip(&attribute.described) {
        let _ = described.insert(Some(operation.method), &operation.template, number);
    }
    if let Some(j) = looked_up(&described).map(|number| number as usize) {
        let operation = &attribute.described[j];
        let method = operation.method;
        let says = format!("{method} {}{}", operation.template.text(), as_get(args, method));
        let rule = format!("{at}.openapi.{}", operation.place);
        return found(Some(&operation.name), rule, which(says), "template tree".to_owned());
    }
    found(None, at, "no rule matches".to_owned(), String::new())
}

/// Why a template for another method stands for the request.
fn as_get(args: &ExplainArgs, method: &str) -> &'static str {
    match (args.method.as_str(), method) {
        ("HEAD", "GET") => " (HEAD is a GET without content)",
        _ => "",
    }
}
