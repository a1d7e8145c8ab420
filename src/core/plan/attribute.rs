//! A derived attribute, compiled: the first condition that holds, or else the most specific operation.

use super::left_out;
use crate::config::{Attribute, Phase};
use crate::diag::Diagnostic;
use crate::expr::{Names, NoValue, PeersRead, Program};
use crate::operation::Tree;
use crate::port::Host;

/// A derived attribute.
#[derive(Debug)]
pub(crate) struct AttributePlan {
    /// Index into [`super::Plan::attribute_names`].
    pub name: usize,
    /// When it is evaluated.
    pub phase: Phase,
    /// In the order they are tried; `None` always holds.
    conditions: Vec<Option<Program>>,
    operations: Tree,
    described: Tree,
    /// Values of the conditions, then of the operations, then of the described operations.
    values: Vec<Vec<u8>>,
    first_operation: usize,
    first_described: usize,
}

// === impl AttributePlan ===

impl AttributePlan {
    /// Compiles an attribute; `at` is its JSON path. One condition that does not compile takes the whole attribute out:
    /// the entries behind it would match too much.
    pub fn compile(
        at: &str,
        name: usize,
        attribute: &Attribute,
        names: &Names<'_>,
        host: &mut impl Host,
        warnings: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let conditions = conditions(at, attribute, names, host, warnings)?;
        let mut operations = Tree::default();
        for (number, operation) in (0..).zip(&attribute.operations) {
            // Conflicts have been told when the configuration was validated.
            let _ = operations.insert(operation.method.as_deref(), &operation.template, number);
        }
        let mut described = Tree::default();
        for (number, operation) in (0..).zip(&attribute.described) {
            let _ = described.insert(Some(operation.method), &operation.template, number);
        }
        let first_described = attribute.entries.len().saturating_add(attribute.operations.len());
        Some(Self {
            name,
            phase: attribute.phase,
            conditions,
            operations,
            described,
            values: values(attribute),
            first_operation: attribute.entries.len(),
            first_described,
        })
    }

    /// The peers that have to be published before it is evaluated.
    pub fn publishes(&self) -> PeersRead {
        let programs = self.conditions.iter().flatten();
        programs.fold(PeersRead::default(), |read, program| read.or(program.publishes()))
    }

    /// Whether the request's method and path decide.
    pub fn needs_path(&self) -> bool {
        self.values.len() > self.first_operation
    }

    /// Which value the attribute has, by index; `None` when nothing matches.
    ///
    /// # Errors
    /// A condition before the answer cannot be evaluated.
    pub fn find(
        &self,
        method: &[u8],
        path: &[u8],
        host: &mut impl Host,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<usize>, NoValue> {
        for (number, condition) in self.conditions.iter().enumerate() {
            let holds = condition.as_ref().map_or(Ok(true), |c| c.holds(host, scratch))?;
            if holds {
                return Ok(Some(number));
            }
        }
        let place = |first: usize, number: u32| first.saturating_add(number as usize);
        let operation = self.operations.find(method, path);
        let operation = operation.map(|number| place(self.first_operation, number));
        Ok(operation.or_else(|| {
            let described = self.described.find(method, path);
            described.map(|number| place(self.first_described, number))
        }))
    }

    /// All values, in the order of their indices.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.values.iter().map(Vec::as_slice)
    }

    /// A value by the index that [`AttributePlan::find`] gave.
    pub fn value(&self, index: usize) -> &[u8] {
        self.values.get(index).map(Vec::as_slice).unwrap_or_default()
    }
}

fn conditions(
    at: &str,
    attribute: &Attribute,
    names: &Names<'_>,
    host: &mut impl Host,
    warnings: &mut Vec<Diagnostic>,
) -> Option<Vec<Option<Program>>> {
    let mut compiled = Vec::new();
    for (number, entry) in attribute.entries.iter().enumerate() {
        if entry.condition.is_empty() {
            compiled.push(None);
            continue;
        }
        match Program::condition(&entry.condition, names, host) {
            Ok(program) => compiled.push(Some(program)),
            Err(problem) => {
                let path = format!("{at}.match[{number}].condition");
                let what = format!("attribute \"{}\" is left out", attribute.name);
                warnings.push(left_out(path, &problem, &what));
            }
        }
    }
    (compiled.len() == attribute.entries.len()).then_some(compiled)
}

fn values(attribute: &Attribute) -> Vec<Vec<u8>> {
    let conditions = attribute.entries.iter().map(|entry| &entry.value);
    let operations = attribute.operations.iter().map(|operation| &operation.value);
    let described = attribute.described.iter().map(|operation| &operation.name);
    let all = conditions.chain(operations).chain(described);
    all.map(|value| value.clone().into_bytes()).collect()
}
