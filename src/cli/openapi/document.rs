//! OpenAPI documents.

use std::ops::Range;
use std::rc::Rc;

use opmeter_core::json::Json;
use opmeter_core::operation::openapi;

use super::Operation;
use crate::finding::{Finding, Rule};
use crate::text::{Node, Source, parse};

/// Adds the operations of a document, or what is wrong with it.
pub fn read(
    name: String,
    text: String,
    operations: &mut Vec<Operation>,
    findings: &mut Vec<Finding>,
) {
    let source = Rc::new(Source { name, text });
    let nodes = match parse(&source.text) {
        Ok(nodes) => nodes,
        Err(broken) => {
            let message = format!("neither YAML nor JSON: {}", broken.message);
            let span = broken.at..broken.at + 1;
            findings.push(Finding::error(Rule::Unreadable, &source, &span, message));
            return;
        }
    };
    for node in nodes {
        match openapi(&json(&node)) {
            Ok(found) => operations.extend(found.into_iter().map(|operation| Operation {
                method: operation.method.to_owned(),
                origin: format!("{}: {}", source.name, operation.place),
                at: (Rc::clone(&source), span(&node, &operation.place)),
                template: operation.template,
                name: operation.name,
            })),
            Err(problems) => {
                for problem in problems {
                    let span = span(&node, &problem.place);
                    findings.push(
                        Finding::error(Rule::LeftOut, &source, &span, problem.to_string())
                            .why("the module leaves out a document with a part that it cannot use")
                            .fix("change the description, or leave this path out"),
                    );
                }
            }
        }
    }
}

/// Where `paths["/users/{id}"].get` stands.
fn span(node: &Node, place: &str) -> Range<usize> {
    let found = place.strip_prefix("paths[\"").and_then(|rest| {
        let (path, method) = rest.rsplit_once("\"]")?;
        let entry = node.get("paths")?.entry(path)?;
        let inner = entry.value.entry(method.trim_start_matches('.'));
        Some(inner.map_or(&entry.key_span, |inner| &inner.key_span).clone())
    });
    found.unwrap_or_else(|| match node.find(place) {
        found if found.complete && !place.is_empty() => found.key_span(),
        _ => node.span.clone(),
    })
}

/// As the core holds documents.
fn json(node: &Node) -> Json {
    serde_json::from_value(node.to_json()).unwrap_or(Json::Null)
}
