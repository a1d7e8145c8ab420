//! Several descriptions -> one list.

use opmeter_core::operation::Tree;

use super::Operation;
use crate::finding::{Finding, Rule};

/// Operations without repetitions.
#[derive(Debug)]
pub struct Merged {
    /// In the order of the files.
    pub operations: Vec<Operation>,
    /// How many were there more than once, the same each time.
    pub repeated: usize,
    /// Names that stand for several operations, with how many.
    pub shared: Vec<(String, usize)>,
}

/// Keeps the first of operations for the same requests; another name for the same is a conflict.
pub fn merge(all: Vec<Operation>, findings: &mut Vec<Finding>) -> Merged {
    let mut tree = Tree::default();
    let mut kept: Vec<Operation> = Vec::new();
    let mut repeated = 0;
    for operation in all {
        let number = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        let inserted = tree.insert(Some(&operation.method), &operation.template, number);
        let Err(conflict) = inserted else {
            kept.push(operation);
            continue;
        };
        let Some(first) = kept.get(conflict.with as usize) else { continue };
        if first.name == operation.name && first.template.text() == operation.template.text() {
            repeated += 1;
        } else {
            findings.push(told(&operation, first));
        }
    }
    let mut shared: Vec<(String, usize)> = Vec::new();
    for operation in &kept {
        match shared.iter_mut().find(|(name, _)| *name == operation.name) {
            Some((_, count)) => *count += 1,
            None => shared.push((operation.name.clone(), 1)),
        }
    }
    shared.retain(|(_, count)| *count > 1);
    Merged { operations: kept, repeated, shared }
}

fn told(operation: &Operation, first: &Operation) -> Finding {
    let line = |Operation { at: (source, span), .. }: &Operation| {
        format!("{}:{}", source.name, source.position(span.start).line)
    };
    let message = format!(
        "{} {} (\"{}\") stands for the same requests as {} (\"{}\") at {}",
        operation.method,
        operation.template.text(),
        operation.name,
        first.template.text(),
        first.name,
        line(first),
    );
    let (source, span) = &operation.at;
    Finding::warning(Rule::Unreachable, source, span, message)
        .why("no request can tell the two apart; the first is kept")
        .fix("give one of the two another path, or describe it once")
}
