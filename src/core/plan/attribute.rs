//! A derived attribute, compiled: the first condition that holds, or else the most specific operation.

use crate::config::{Attribute, Phase};
use crate::diag::Diagnostic;
use crate::expr::{Bound, Facts, NoValue, Scope};
use crate::operation::{Found, Matcher, MatcherBuilder};
use crate::port::Host;

/// A derived attribute.
#[derive(Debug)]
pub(crate) struct AttributePlan {
    /// Index into [`super::Plan::attribute_names`].
    pub name: usize,
    /// When it is evaluated.
    pub phase: Phase,
    /// Whether the request's method and path decide.
    pub needs_path: bool,
    matcher: Matcher,
    /// Conditions that cannot be looked up, by number.
    open: Vec<(u32, Bound)>,
    /// Values of the conditions, then of the operations, then of the described operations.
    values: Vec<Vec<u8>>,
    conditions: usize,
    operations: usize,
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
        let mut needs_path = !attribute.operations.is_empty() || !attribute.described.is_empty();
        for (number, entry) in attribute.entries.iter().enumerate() {
            let path = format!("{at}.match[{number}].condition");
            let added =
                add_condition(&mut builder, number, &entry.condition, scope, host, &path, warnings);
            match added {
                Ok(Added::Always) => {}
                Ok(Added::Indexed) => needs_path = true,
                Ok(Added::Open(bound)) => open.push(bound),
                Err(problems) => {
                    complete = false;
                    let what = format!("attribute \"{}\" is left out", attribute.name);
                    warnings.extend(super::left_out(&path, problems, &what));
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
            needs_path,
            matcher: builder.build(),
            open,
            values: values(attribute),
            conditions: attribute.entries.len(),
            operations: attribute.operations.len(),
        })
    }

    /// Which value the attribute has, by index; `None` when nothing matches.
    ///
    /// # Errors
    /// A condition before the answer cannot be evaluated.
    pub fn find(
        &self,
        method: &[u8],
        path: &[u8],
        facts: &dyn Facts,
        host: &mut impl Host,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<usize>, NoValue> {
        if self.needs_path && (path.is_empty() || method.is_empty()) {
            return Err(NoValue::Failed);
        }
        let found = self.matcher.find(method, path, |number| {
            let bound = self.open.iter().find(|(open, _)| *open == number);
            bound.map_or(Err(NoValue::Failed), |(_, bound)| bound.holds(facts, host, scratch))
        })?;
        Ok(found.map(|found| match found {
            Found::Condition(number) => number as usize,
            Found::Operation(number) => self.conditions.saturating_add(number as usize),
            Found::Described(number) => {
                self.conditions.saturating_add(self.operations).saturating_add(number as usize)
            }
        }))
    }

    /// A value by the index that [`AttributePlan::find`] gave.
    pub fn value(&self, index: usize) -> &[u8] {
        self.values.get(index).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What became of a condition.
enum Added {
    /// It always holds.
    Always,
    /// Looked up by method and path.
    Indexed,
    /// Evaluated by itself.
    Open((u32, Bound)),
}

/// A condition is compiled by itself first: one that is looked up reads nothing that has to be fetched for it.
fn add_condition(
    builder: &mut MatcherBuilder,
    number: usize,
    text: &str,
    scope: &mut Scope<'_>,
    host: &mut impl Host,
    path: &str,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Added, Vec<String>> {
    if text.is_empty() {
        builder.condition(None, &scope.slots);
        return Ok(Added::Always);
    }
    let mut alone = Scope::new(scope.derived);
    let (expr, doubts) = alone.condition(text)?;
    warnings.extend(doubts.into_iter().map(|doubt| Diagnostic::warning(path, doubt)));
    if builder.condition(Some(&expr), &alone.slots) {
        return Ok(Added::Indexed);
    }
    let (expr, _) = scope.condition(text)?;
    let bound = Bound::condition(expr, host)?;
    Ok(Added::Open((u32::try_from(number).unwrap_or(u32::MAX), bound)))
}

fn values(attribute: &Attribute) -> Vec<Vec<u8>> {
    let conditions = attribute.entries.iter().map(|entry| &entry.value);
    let operations = attribute.operations.iter().map(|operation| &operation.value);
    let described = attribute.described.iter().map(|operation| &operation.name);
    let all = conditions.chain(operations).chain(described);
    all.map(|value| value.clone().into_bytes()).collect()
}
