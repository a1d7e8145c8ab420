//! Series that are defined before they are counted: which values of their labels are known from the configuration.

use super::{Group, Source};
use crate::config::{Config, Prewarm};
use crate::metric::standard::Occasion;
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
        read: impl Fn(usize) -> Option<Option<usize>>,
    ) -> Self {
        let known = |source: &Source| match source {
            Source::Standard(Label::ResponseCode) => Some(Known::Code),
            Source::Standard(Label::ResponseFlags) => Some(Known::NoFlags),
            Source::Expression(index) => {
                Some(read(*index)?.map_or(Known::Stream, Known::Attribute))
            }
            _ => Some(Known::Stream),
        };
        let group = |group: &Group| {
            let labels = group.labels.iter().map(|(_, source)| known(source));
            let labels: Option<Vec<Known>> = labels.collect();
            let of_requests = matches!(group.occasion, Occasion::Request | Occasion::End);
            let derived = |labels: &Vec<Known>| {
                of_requests && labels.iter().any(|known| matches!(known, Known::Attribute(_)))
            };
            labels.filter(derived).unwrap_or_default()
        };
        Self {
            codes: config.response_codes.clone(),
            attributes,
            groups: groups.iter().map(group).collect(),
        }
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

/// The values of each derived attribute that the configuration names, each once.
pub(super) fn attribute_values(config: &Config, names: &[String]) -> Vec<Vec<Vec<u8>>> {
    let values = |name: &String| {
        let mut values: Vec<Vec<u8>> = Vec::new();
        for attribute in config.attributes.iter().filter(|attribute| attribute.name == *name) {
            let matched = attribute.entries.iter().map(|entry| &entry.value);
            let operations = attribute.operations.iter().map(|operation| &operation.value);
            let described = attribute.described.iter().map(|operation| &operation.name);
            for value in matched.chain(operations).chain(described) {
                if !value.is_empty() && !values.iter().any(|known| known == value.as_bytes()) {
                    values.push(value.clone().into_bytes());
                }
            }
        }
        values
    };
    names.iter().map(values).collect()
}

/// Which derived attribute the text of a dimension is, `Some(None)` for a literal text, `None` for anything else.
pub(super) fn reads_attribute(text: &str, names: &[String]) -> Option<Option<usize>> {
    let text = text.trim();
    let quoted = |text: &'_ str| {
        let quote = text.chars().next().filter(|c| ['\'', '"'].contains(c))?;
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains([quote, '\\'])).then(|| inner.to_owned())
    };
    if quoted(text).is_some() {
        return Some(None);
    }
    let key = text.strip_prefix("filter_state[").and_then(|text| quoted(text.strip_suffix(']')?));
    let name = key.as_deref().map_or(Some(text), |key| key.strip_prefix("wasm."))?;
    names.iter().position(|known| known == name).map(Some)
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
