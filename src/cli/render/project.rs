//! Reads `opmeter.yaml`.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use opmeter_core::diag::nearest;
use opmeter_core::{Diagnostic, config, configure};
use serde_json::{Map, Value};

use crate::finding::{Finding, Rule};
use crate::lint::advice;
use crate::offline::Offline;
use crate::schema::{Project, Side};
use crate::text::{Node, Source, parse};

/// A project that can be rendered.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub project: Project,
}

/// Fields of the project itself; all others are the plugin configuration's.
const OWN: [&str; 7] =
    ["name", "namespace", "module", "where", "stats", "dimensions", "histogram_buckets"];

// === impl Loaded ===

impl Loaded {
    /// The sides that get a plugin each.
    pub fn sides(&self) -> Vec<Side> {
        match self.project.place.side {
            Side::Both => vec![Side::Inbound, Side::Outbound],
            side => vec![side],
        }
    }

    /// Name of the resource of a side.
    pub fn name_of(&self, side: Side) -> String {
        let name = &self.project.name;
        match (self.project.place.side, side) {
            (Side::Both, Side::Inbound) => format!("{name}-inbound"),
            (Side::Both, _) => format!("{name}-outbound"),
            _ => name.clone(),
        }
    }

    /// Pod labels of the selector.
    pub fn selector(&self) -> Option<Map<String, Value>> {
        let labels = &self.project.place.selector;
        let pairs = labels.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        (!labels.is_empty()).then(|| pairs.collect())
    }
}

/// Reads and checks a project; what is wrong with it are findings.
///
/// # Errors
/// The file cannot be read.
pub fn load(file: &Path) -> Result<Result<Loaded, Vec<Finding>>> {
    let source = Rc::new(Source::read(file)?);
    let nodes = match parse(&source.text) {
        Ok(nodes) => nodes,
        Err(broken) => {
            let message = format!("neither YAML nor JSON: {}", broken.message);
            let span = broken.at..broken.at + 1;
            return Ok(Err(vec![Finding::error(Rule::Unreadable, &source, &span, message)]));
        }
    };
    ensure!(nodes.len() == 1, "{} holds {} documents, expected one", source.name, nodes.len());
    let node = &nodes[0];
    let mut findings = misspelt(&source, node);
    if let Err(problems) = check_plugin(node) {
        findings.extend(problems.iter().map(|problem| told(&source, node, problem)));
    }
    if !findings.is_empty() {
        return Ok(Err(findings));
    }
    let project: Project = serde_json::from_value(node.to_json())
        .with_context(|| format!("cannot use {}", source.name))?;
    Ok(Ok(Loaded { project }))
}

/// Top-level fields that are neither the project's nor the configuration's, with the nearest name of both.
fn misspelt(source: &Rc<Source>, node: &Node) -> Vec<Finding> {
    let known: Vec<String> = plugin_fields();
    let mut findings = Vec::new();
    for entry in node.entries() {
        let key = entry.key.as_str();
        if OWN.contains(&key) || known.iter().any(|name| name == key) {
            continue;
        }
        let all = || OWN.iter().copied().chain(known.iter().map(String::as_str));
        let message = format!("unknown field \"{key}\"");
        let fix = match nearest(key, all()) {
            Some(near) => format!("write {near}"),
            None => format!("known are {}", all().collect::<Vec<_>>().join(", ")),
        };
        let finding = Finding::error(Rule::Invalid, source, &entry.key_span, message);
        findings.push(finding.why("what is not known would be passed over").fix(fix));
    }
    findings
}

/// What the module itself allows at the top of its configuration.
fn plugin_fields() -> Vec<String> {
    let problems = config::parse(b"{\"?\": 1}").map(|(_, problems)| problems).unwrap_or_default();
    let allowed = problems.iter().find_map(|problem| problem.message.split_once("; allowed: "));
    allowed.map_or_else(Vec::new, |(_, names)| names.split(", ").map(str::to_owned).collect())
}

fn check_plugin(node: &Node) -> Result<(), Vec<Diagnostic>> {
    let fields = node.to_json();
    let plugin: Map<String, Value> = fields
        .as_object()
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .filter(|(name, _)| plugin_fields().contains(name))
        .collect();
    let text = Value::Object(plugin).to_string();
    let configured = configure(text.as_bytes(), &mut Offline::default());
    let problems = match configured {
        Ok(configured) => configured.problems,
        Err(unusable) => unusable.into_problems(),
    };
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn told(source: &Rc<Source>, node: &Node, problem: &Diagnostic) -> Finding {
    let place = node.find(&problem.path);
    let span = match problem.message.starts_with("unknown field") {
        true => place.key_span(),
        false => place.value_span(),
    };
    Finding::error(Rule::LeftOut, source, &span, &problem.message)
        .at(&problem.path)
        .why("the module leaves it out; better known before there is a proxy")
        .fix(advice(problem))
}
