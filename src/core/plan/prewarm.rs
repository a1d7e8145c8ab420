//! Series that are defined before they are counted: which values of their labels are known from the configuration.

use super::{Group, Source};
use crate::config::{Config, Prewarm};
use crate::metric::standard::Occasion;
use crate::metric::text::canonical;
use crate::metric::{Label, Value};

/// What is known before the streams come.
#[derive(Debug)]
pub(crate) struct PrewarmPlan {
    codes: Vec<i64>,
    /// Values by name of the derived attribute.
    attributes: Vec<Vec<Vec<u8>>>,
    /// By group and label; nothing for a group that is not defined before.
    groups: Vec<Vec<Known>>,
}

/// How a label's values are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// By the streams alone.
    Stream,
    /// It is a derived attribute.
    Attribute(usize),
    /// It is the status code.
    Code,
    /// It is the response flags, of which there are none.
    NoFlags,
}

// === impl PrewarmPlan ===

impl PrewarmPlan {
    /// `read` tells which derived attribute an expression of the plan is, or that it is one text, or neither.
    pub fn new(
        config: &Prewarm,
        attributes: Vec<Vec<Vec<u8>>>,
        groups: &[Group],
        read: &dyn Fn(usize) -> Option<Option<usize>>,
    ) -> Self {
        let groups = groups.iter().map(|group| Known::of_group(group, read)).collect();
        Self { codes: config.response_codes.clone(), attributes, groups }
    }

    /// Whether every label of a group is known before there is a stream.
    pub fn is_complete(&self, group: usize) -> bool {
        let labels = self.groups.get(group).map(Vec::as_slice).unwrap_or_default();
        !labels.is_empty() && !labels.contains(&Known::Stream)
    }

    /// Every combination of what is known of a group's labels; `None` for what the stream in hand has to tell.
    pub fn sets(&self, group: usize) -> impl Iterator<Item = Vec<Option<Value<'_>>>> {
        let labels = self.groups.get(group).map(Vec::as_slice).unwrap_or_default();
        let choices = |known: &Known| match known {
            Known::Attribute(name) => self.attributes.get(*name).map_or(0, Vec::len),
            Known::Code => self.codes.len(),
            Known::Stream | Known::NoFlags => 1,
        };
        // Labels of one attribute vary together: only the first place of each makes combinations.
        let mut turns: Vec<(Known, usize)> = Vec::new();
        for known in labels {
            if turns.iter().all(|(other, _)| other != known) {
                turns.push((*known, choices(known)));
            }
        }
        let count =
            turns.iter().fold(usize::from(!labels.is_empty()), |n, (_, c)| n.saturating_mul(*c));
        (0..count).map(move |number| {
            let choice = |known: &Known| {
                let mut rest = number;
                for (turn, choices) in &turns {
                    if turn == known {
                        return rest.checked_rem(*choices).unwrap_or_default();
                    }
                    rest = rest.checked_div(*choices).unwrap_or_default();
                }
                0
            };
            labels.iter().map(|known| self.value(*known, choice(known))).collect()
        })
    }

    fn value(&self, known: Known, choice: usize) -> Option<Value<'_>> {
        match known {
            Known::Stream => None,
            Known::NoFlags => Some(Value::Flags(0)),
            Known::Code => self.codes.get(choice).copied().map(Value::Int),
            Known::Attribute(name) => {
                self.attributes.get(name)?.get(choice).map(|value| Value::Text(value))
            }
        }
    }
}

// === impl Known ===

impl Known {
    /// By label; nothing for a group that is not defined before.
    fn of_group(group: &Group, read: &dyn Fn(usize) -> Option<Option<usize>>) -> Vec<Self> {
        let mut derived = false;
        let mut labels = Vec::new();
        for (_, source) in &group.labels {
            let Some(known) = Known::of_source(source, read) else { return Vec::new() };
            derived |= matches!(known, Known::Attribute(_));
            labels.push(known);
        }
        let of_requests = matches!(group.occasion, Occasion::Request | Occasion::End);
        if derived && of_requests { labels } else { Vec::new() }
    }

    /// `None` for what may differ from one operation to the next, in a way that only its streams tell.
    fn of_source(source: &Source, read: &dyn Fn(usize) -> Option<Option<usize>>) -> Option<Self> {
        Some(match source {
            Source::Standard(Label::ResponseCode) => Known::Code,
            Source::Standard(Label::ResponseFlags) => Known::NoFlags,
            Source::Standard(_) | Source::Nothing => Known::Stream,
            Source::Expression(index) => read(*index)?.map_or(Known::Stream, Known::Attribute),
            Source::When(_, sources) => {
                let expressions =
                    [&sources.0, &sources.1].map(|source| Known::of_source(source, read));
                let of_stream = |known| !matches!(known, None | Some(Known::Attribute(_)));
                expressions.into_iter().all(of_stream).then_some(Known::Stream)?
            }
        })
    }
}

/// The values of each derived attribute that the configuration names, each once.
pub(super) fn attribute_values(config: &Config, names: &[String]) -> Vec<Vec<Vec<u8>>> {
    let values = |name: &String| {
        let mut values: Vec<Vec<u8>> = Vec::new();
        for attribute in config.attributes.iter().filter(|attribute| attribute.name == *name) {
            let mut add = |value: &str| {
                let value = canonical(value.as_bytes());
                if !value.is_empty() && !values.iter().any(|known| known == value) {
                    values.push(value.into());
                }
            };
            attribute.entries.iter().for_each(|entry| add(&entry.value));
            attribute.operations.iter().for_each(|operation| add(&operation.value));
            attribute.described.iter().for_each(|operation| add(&operation.name));
        }
        values
    };
    names.iter().map(values).collect()
}

/// Which derived attribute the text of a dimension is, `Some(None)` for a literal text, `None` for anything else.
pub(super) fn reads_attribute(text: &str, names: &[String]) -> Option<Option<usize>> {
    let text = text.trim();
    if quoted(text).is_some() {
        return Some(None);
    }
    let key = text.strip_prefix("filter_state[").and_then(|text| quoted(text.strip_suffix(']')?));
    let name = key.map_or(Some(text), |key| key.strip_prefix("wasm."))?;
    names.iter().position(|known| known == name).map(Some)
}

#[inline(never)]
fn quoted(text: &str) -> Option<&str> {
    let (quote @ (b'\'' | b'"'), [inner @ .., last]) = text.as_bytes().split_first()? else {
        return None;
    };
    let plain = last == quote && !inner.iter().any(|byte| byte == quote || *byte == b'\\');
    text.get(1..text.len().saturating_sub(1)).filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dimension_that_is_an_attribute_is_known() {
        let names = ["a".to_owned(), "op".to_owned()];
        for text in ["op", " op ", "filter_state['wasm.op']", "filter_state[\"wasm.op\"]"] {
            assert_eq!(reads_attribute(text, &names), Some(Some(1)), "{text}");
        }
        for text in ["'op'", "\"op\"", "''"] {
            assert_eq!(reads_attribute(text, &names), Some(None), "{text}");
        }
        for text in ["op + 'x'", "'a' + 'b'", "other", "filter_state['op']", "filter_state.op", ""]
        {
            assert_eq!(reads_attribute(text, &names), None, "{text}");
        }
    }
}
