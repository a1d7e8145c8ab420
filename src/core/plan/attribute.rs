//! A derived attribute, compiled: the first condition that holds, or else the most specific operation.

use super::{left_out, reads::Reads};
use crate::config::{Attribute, Entry, PathSource, Phase};
use crate::diag::Diagnostic;
use crate::expr::{Bound, Facts, Findings, NoValue, PeersRead, Scope};
use crate::operation::{Found, Matcher, MatcherBuilder};
use crate::port::Host;

/// A derived attribute.
#[derive(Debug)]
pub(crate) struct AttributePlan {
    /// Index into [`super::Plan::attribute_names`].
    pub name: usize,
    /// When it is evaluated.
    pub phase: Phase,
    /// Whether its templates are looked up by the path as received rather than by the one that is sent.
    pub received_path: bool,
    matcher: Matcher,
    /// Conditions that cannot be looked up, by number.
    open: Vec<(u32, Bound)>,
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
        scope: &mut Scope<'_>,
        host: &mut impl Host,
        warnings: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let mut builder = MatcherBuilder::default();
        let mut open = Vec::new();
        let mut complete = true;
        for (number, entry) in (0..).zip(&attribute.entries) {
            let path = |warnings: &mut Vec<Diagnostic>, found: Findings, what: &str| {
                let path = format!("{at}.match[{number}].condition");
                left_out(&path, found, what, warnings);
            };
            match condition(entry, &mut builder, scope, host) {
                Ok(None) => {}
                Ok(Some((bound, doubts))) => {
                    path(warnings, doubts, "");
                    open.push((number, bound));
                }
                Err(problems) => {
                    complete = false;
                    let what = format!("attribute \"{}\" is left out", attribute.name);
                    path(warnings, problems, &what);
                }
            }
        }
        for operation in &attribute.operations {
            // Conflicts have been told when the configuration was validated.
            let _ = builder.operation(operation.method.as_deref(), &operation.template);
        }
        for operation in &attribute.described {
            let _ = builder.described(operation);
        }
        complete.then(|| Self {
            name,
            phase: attribute.phase,
            received_path: attribute.path == PathSource::Received,
            matcher: builder.build(),
            open,
            values: values(attribute),
            first_operation: attribute.entries.len(),
            first_described: attribute.entries.len().saturating_add(attribute.operations.len()),
        })
    }

    /// The peers that have to be published before it is evaluated.
    pub fn publishes(&self) -> PeersRead {
        let open = self.open.iter().map(|(_, bound)| bound.publishes());
        open.fold(PeersRead::default(), PeersRead::or)
    }

    /// Whether the path as received has to be kept until the end of the request.
    pub fn keeps_path(&self) -> bool {
        let has_templates = self.values.len() > self.first_operation;
        self.received_path && self.phase == Phase::AfterResponse && has_templates
    }

    /// Whether the request's method and path decide.
    pub fn needs_path(&self) -> bool {
        self.matcher.needs_path()
    }

    /// Adds what its conditions read.
    pub fn needs(&self, reads: &Reads, needs: &mut super::Needs) {
        self.open.iter().for_each(|(_, bound)| needs.expression(bound, reads));
    }

    /// Which value the attribute has, by index; `None` when nothing matches.
    ///
    /// # Errors
    /// A condition before the answer has no value, or the request has no method or path, as one that is malformed.
    pub fn find(
        &self,
        method: &[u8],
        path: &[u8],
        template_path: &[u8],
        facts: &dyn Facts,
        host: &mut impl Host,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<usize>, NoValue> {
        if !self.matcher.can_tell(method, path) {
            return Err(NoValue::NotSet);
        }
        let found = self.matcher.find(method, path, template_path, |number| {
            let bound = self.open.iter().find(|(open, _)| *open == number);
            bound.map_or(Err(NoValue::Failed), |(_, bound)| bound.holds(facts, host, scratch))
        })?;
        let place = |first: usize, number: u32| first.saturating_add(number as usize);
        Ok(found.map(|found| match found {
            Found::Condition(number) => number as usize,
            Found::Operation(number) => place(self.first_operation, number),
            Found::Described(number) => place(self.first_described, number),
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

/// Adds a condition; `None` for one that is looked up and reads nothing that has to be fetched for it.
fn condition(
    entry: &Entry,
    builder: &mut MatcherBuilder,
    scope: &mut Scope<'_>,
    host: &mut impl Host,
) -> Result<Option<(Bound, Findings)>, Findings> {
    if entry.condition.is_empty() {
        builder.condition(None, &scope.slots);
        return Ok(None);
    }
    let known = scope.slots.reads().len();
    let expr = scope.condition(&entry.condition)?;
    if builder.condition(Some(&expr), &scope.slots) {
        scope.slots.truncate(known);
        return Ok(None);
    }
    scope.bind_condition(expr, host).map(Some)
}

fn values(attribute: &Attribute) -> Vec<Vec<u8>> {
    let conditions = attribute.entries.iter().map(|entry| &entry.value);
    let operations = attribute.operations.iter().map(|operation| &operation.value);
    let described = attribute.described.iter().map(|operation| &operation.name);
    let all = conditions.chain(operations).chain(described);
    all.map(|value| value.clone().into_bytes()).collect()
}
