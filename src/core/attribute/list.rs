//! Lists of values as one expression: what is in them, and how they are written.

use super::fact::Fact;
use super::facts::{Key, Ranges};
use crate::port::{ExprId, Host};
use std::borrow::Cow;

#[derive(Clone, Debug, Default)]
pub(super) struct Branch {
    /// In the list.
    pub listed: Vec<Element>,
    /// Those that would make the list fail.
    pub alone: Vec<Element>,
}

/// A value and its own expression.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub key: Key,
    pub text: Cow<'static, str>,
    pub expression: ExprId,
    /// Whether some stream was without it.
    pub guarded: bool,
}

/// How a list is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Quick,
    Guarded,
}

/// The list as an expression: of all streams, or of inbound ones and of all others; `''` for a stream without the condition.
pub(super) fn text(branches: &[Branch], condition: Option<&str>, style: Style) -> String {
    let mut text = match branches {
        [inbound, others] => {
            let direction = Fact::ListenerDirection;
            let bare = direction.bare().unwrap_or_default();
            let (guard, value) = match style {
                Style::Quick => (String::new(), bare),
                Style::Guarded => (["has(", bare, ") && "].concat(), direction.expression()),
            };
            let (inbound, others) = (inbound.text("1", style), others.text(value, style));
            [&guard, bare, " == 1 ? ", &inbound, " : ", &others].concat()
        }
        branches => branches.first().map(|branch| branch.text("", style)).unwrap_or_default(),
    };
    if let Some(condition) = condition.filter(|_| !proves_request(branches, style)) {
        text = [condition, " ? (", &text, ") : ''"].concat();
    }
    text
}

/// Whether the list cannot be evaluated for anything but requests.
fn proves_request(branches: &[Branch], style: Style) -> bool {
    let proves = |element: &Element| match element.key {
        Key::Fact(fact) => fact.is_of_headers() && element.bare().is_some(),
        Key::Read(_) => false,
    };
    style == Style::Quick && branches.iter().all(|branch| branch.listed.iter().any(proves))
}

// === impl Branch ===

impl Branch {
    /// With something in front.
    fn text(&self, first: &str, style: Style) -> String {
        let mut text = String::from("[");
        text.push_str(first);
        for element in &self.listed {
            if text.len() > 1 {
                text.push_str(", ");
            }
            let bare = element.bare().filter(|_| style == Style::Quick);
            text.push_str(bare.unwrap_or(&element.text));
        }
        text.push(']');
        text
    }
}

// === impl Element ===

impl Element {
    pub fn bare(&self) -> Option<&'static str> {
        match self.key {
            Key::Fact(fact) if !self.guarded => fact.bare(),
            Key::Fact(_) | Key::Read(_) => None,
        }
    }

    /// Evaluates it alone; `false` when that fails.
    pub fn fetch(&self, host: &mut impl Host, buffer: &mut Vec<u8>, ranges: &mut Ranges) -> bool {
        let start = buffer.len();
        let fetched = host.evaluate(self.expression, buffer).is_ok();
        ranges.set(self.key, start..buffer.len());
        fetched
    }
}
