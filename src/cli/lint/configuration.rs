//! A plugin configuration: what the module would leave out, then what it would take but should not get.

use std::ops::Range;

use opmeter_core::config::Config;
use opmeter_core::{Diagnostic, Plan, Severity, Unusable, config, configure};

use super::{Scene, dimensions, rules};
use crate::documents::Plugin;
use crate::expression::Expression;
use crate::finding::{Finding, Rule};
use crate::offline::Offline;
use crate::text::{Position, embedded, offset};

/// Everything known about a configuration that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// Its meaning.
    pub config: Config,
    /// What the module does with it.
    pub plan: Plan,
}

/// What the module does with a configuration as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is in force.
    Taken,
    /// So many parts of it are left out.
    LeftOut(usize),
    /// `strict` refuses it, with these problems.
    Refused(Vec<String>),
    /// Nothing in it can be read.
    Unreadable,
}

/// Asks the module's core.
pub fn verdict(text: &str) -> Verdict {
    match configure(text.as_bytes(), &mut Offline::default()) {
        Ok(configured) if configured.problems.is_empty() => Verdict::Taken,
        Ok(configured) => Verdict::LeftOut(configured.problems.len()),
        Err(Unusable::Unreadable(_)) => Verdict::Unreadable,
        Err(Unusable::Strict(problems)) => {
            Verdict::Refused(problems.iter().map(ToString::to_string).collect())
        }
    }
}

/// Why nothing of a configuration is in force, in one sentence.
pub fn not_in_force(text: &str) -> &'static str {
    match verdict(text) {
        Verdict::Refused(_) => "`strict` refuses this configuration; `opmeter lint` tells why",
        _ => "the module cannot read this configuration; `opmeter lint` tells why",
    }
}

/// That so many parts of a configuration are left out, in one sentence.
pub fn left_out(parts: usize) -> String {
    match parts {
        1 => "one part of the configuration is left out; `opmeter lint` tells which".to_owned(),
        parts => {
            format!("{parts} parts of the configuration are left out; `opmeter lint` tells which")
        }
    }
}

/// Checks one use of the module.
pub fn check(plugin: &Plugin, scene: &Scene, findings: &mut Vec<Finding>) {
    if let Some(place) = &plugin.as_struct {
        findings.push(of_struct(plugin, place));
        return;
    }
    let (rule, problems) = match configure(plugin.text.as_bytes(), &mut Offline::default()) {
        Ok(configured) => (Rule::LeftOut, configured.problems),
        Err(Unusable::Unreadable(problem)) => (Rule::Unreadable, vec![problem]),
        Err(Unusable::Strict(problems)) => (Rule::Refused, problems),
    };
    findings.extend(problems.iter().map(|problem| finding(plugin, rule, problem)));
    if let Some(accepted) = accepted(plugin) {
        rules::check(plugin, &accepted, findings);
        dimensions::check(plugin, &accepted, scene, findings);
    }
    if plugin.filter && !plugin.fails_open {
        let message = "a failure of this plugin refuses requests";
        let finding = Finding::warning(Rule::FailClose, &plugin.source, &plugin.anchor, message);
        findings.push(finding.fix(plugin.fail_open_fix()));
    }
}

/// The configuration, if the module takes it.
pub fn accepted(plugin: &Plugin) -> Option<Accepted> {
    if plugin.as_struct.is_some() {
        return None;
    }
    let (config, _) = config::parse(plugin.text.as_bytes()).ok()?;
    let plan = configure(plugin.text.as_bytes(), &mut Offline::default()).ok()?.plan;
    Some(Accepted { config, plan })
}

fn of_struct(plugin: &Plugin, place: &Range<usize>) -> Finding {
    let message =
        "the configuration is a google.protobuf.Struct, expected a google.protobuf.StringValue";
    Finding::error(Rule::Unreadable, &plugin.source, place, message)
        .why("Envoy hands over the bytes of the message, which are not JSON: the module reads nothing of them")
        .fix("write type.googleapis.com/google.protobuf.StringValue, with the configuration as JSON text in `value`")
}

fn finding(plugin: &Plugin, rule: Rule, problem: &Diagnostic) -> Finding {
    let span = span(plugin, problem);
    let finding = Finding::warning(rule, &plugin.source, &span, &problem.message);
    let finding = match expression_problem(plugin, problem).or_else(|| why(rule, problem)) {
        Some(why) => finding.why(why),
        None => finding,
    };
    let finding = Finding { severity: problem.severity, ..finding };
    finding.at(&problem.path).fix(advice(problem))
}

/// Why, where the rule's own reason says too little.
fn why(rule: Rule, problem: &Diagnostic) -> Option<String> {
    let says = |words: &str| problem.message.contains(words);
    let why = match (rule, problem.severity) {
        (Rule::Unreadable, _) => {
            "the module goes on with the last configuration that it could read, and without one it counts nothing"
        }
        (Rule::LeftOut, Severity::Error) if says("the entry has no effect") => {
            "without this field the entry would apply to more than was meant, so the module leaves out the entry"
        }
        (Rule::LeftOut, Severity::Error) => "the module leaves this part out; all else is in force",
        (Rule::LeftOut, Severity::Warning) if !says("left out") && !says("no effect") => {
            "the module takes it, but it hardly does what it says"
        }
        _ => return None,
    };
    Some(why.to_owned())
}

fn span(plugin: &Plugin, problem: &Diagnostic) -> Range<usize> {
    let message = &problem.message;
    let Some(node) = plugin.node.as_ref().filter(|_| !message.starts_with("not JSON")) else {
        return unreadable(plugin, message);
    };
    let place = node.find(&problem.path);
    if problem.path == "configuration" || problem.path.is_empty() {
        return node.span.clone();
    }
    if let (Some(position), true) = (inside(message), place.complete)
        && let Some(text) = embedded(place.node, &plugin.source.text)
    {
        // At the end of the expression there is nothing to point at but its last character.
        let at = offset(&text.text, position).min(text.text.len().saturating_sub(1));
        let at = text.place(at);
        return at..at + 1;
    }
    let about_key = ["unknown field", "also given as", "not a label name"];
    match about_key.iter().any(|start| message.starts_with(start)) {
        true => place.key_span(),
        false => place.value_span(),
    }
}

/// `1:20: ...`: a place inside an expression.
fn inside(message: &str) -> Option<Position> {
    let (place, _) = message.split_once(": ")?;
    let (line, column) = place.split_once(':')?;
    Some(Position { line: line.parse().ok()?, column: column.parse().ok()? })
}

/// `not JSON: ... at line 1 column 2`, in a text inside a file.
fn unreadable(plugin: &Plugin, message: &str) -> Range<usize> {
    let numbers = message.rsplit_once(" at line ").and_then(|(_, place)| {
        let (line, column) = place.split_once(" column ")?;
        Some(Position { line: line.parse().ok()?, column: column.parse().ok()? })
    });
    match (numbers, &plugin.embedded) {
        (Some(position), Some(text)) => {
            // Column 0 is the line break before.
            let at = offset(&text.text, position).saturating_sub(usize::from(position.column == 0));
            let at = text.place(at.saturating_sub(usize::from(position.column == 0)));
            at..at + 1
        }
        _ => plugin.anchor.clone(),
    }
}

/// What the parser of expressions has to say, when that is the problem.
fn expression_problem(plugin: &Plugin, problem: &Diagnostic) -> Option<String> {
    if !problem.message.contains("does not compile") {
        return None;
    }
    let place = plugin.node.as_ref()?.find(&problem.path);
    Expression::problem(place.node.text()?)
}

/// What to write instead, as far as the message tells.
pub fn advice(problem: &Diagnostic) -> String {
    let message = &problem.message;
    let meant = message.split_once("(did you mean ").and_then(|(_, rest)| rest.split_once("?)"));
    if let Some((name, _)) = meant {
        return format!("write {name}");
    }
    let expected = message.split_once(", expected ").map(|(_, expected)| expected);
    if let Some(expected) = expected.filter(|_| !message.contains("not JSON")) {
        let expected = expected.split("; the entry").next().unwrap_or(expected);
        return format!("give {expected}");
    }
    if message.contains("unknown field") || message.contains("has no effect") {
        return "take it out".to_owned();
    }
    if message.contains("not JSON") {
        return "a plugin configuration is JSON; `opmeter render` writes it from YAML".to_owned();
    }
    if message.contains("does not compile") || inside(message).is_some() {
        return "write a CEL expression that Envoy knows; texts stand in quotes".to_owned();
    }
    if message.contains("stands for the same paths") {
        return "keep one of the two, or tell them apart by method".to_owned();
    }
    match message.split_once("expected ") {
        Some((_, expected)) => format!("give {expected}"),
        None => "change or remove it".to_owned(),
    }
}
