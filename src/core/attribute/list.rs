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

/// Which requests a list is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    /// Those with a content type.
    Typed,
    Untyped,
}

const IS_TYPED: &str = "'content-type' in request.headers ? ";

/// The list as an expression: of all streams, or of inbound ones and of all others; or of one branch's `only`. `''` for a
/// stream without the condition.
pub(super) fn text(
    branches: &[Branch],
    only: Option<usize>,
    condition: Option<&str>,
    style: Style,
) -> String {
    let direction = Fact::ListenerDirection;
    let bare = direction.bare().unwrap_or_default();
    let one = only.filter(|_| branches.len() > 1).and_then(|only| branches.get(only..=only));
    let mut text = match (one, branches) {
        (Some([one]), _) => one.text(bare, style),
        (_, [inbound, others]) => {
            let (guard, value) = match style {
                Style::Quick => (String::new(), bare),
                Style::Guarded => (["has(", bare, ") && "].concat(), direction.expression()),
            };
            let all = |branch: &Branch, first| branch.list(first, style, Which::All);
            let (inbound, others) = (all(inbound, "1"), all(others, value));
            [&guard, bare, " == 1 ? ", &inbound, " : ", &others].concat()
        }
        (_, branches) => branches.first().map(|branch| branch.text("", style)).unwrap_or_default(),
    };
    if let Some(condition) = condition.filter(|_| !proves_request(one.unwrap_or(branches), style)) {
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
    /// Whether requests without a content type are spared what only others have.
    pub fn is_split(&self) -> bool {
        let mut elements = self.listed.iter();
        elements
            .any(|element| matches!(element.key, Key::Fact(Fact::ContentType)) && element.guarded)
    }

    fn text(&self, first: &str, style: Style) -> String {
        if style == Style::Guarded || !self.is_split() {
            return self.list(first, style, Which::All);
        }
        let (typed, untyped) =
            (self.list(first, style, Which::Typed), self.list(first, style, Which::Untyped));
        [IS_TYPED, &typed, " : ", &untyped].concat()
    }

    /// With something in front.
    fn list(&self, first: &str, style: Style, which: Which) -> String {
        let mut text = String::from("[");
        text.push_str(first);
        let is_meant = |element: &&Element| which != Which::Untyped || !element.is_typed();
        for element in self.listed.iter().filter(is_meant) {
            if text.len() > 1 {
                text.push_str(", ");
            }
            let bare = match element.key {
                _ if style == Style::Guarded => None,
                Key::Fact(Fact::ContentType) if which == Which::Typed => Fact::ContentType.bare(),
                _ => element.bare(),
            };
            text.push_str(bare.unwrap_or(&element.text));
        }
        text.push(']');
        text
    }
}

// === impl Element ===

impl Element {
    /// Whether only requests with a content type need it: gRPC has one.
    pub fn is_typed(&self) -> bool {
        matches!(self.key, Key::Fact(Fact::ContentType | Fact::GrpcStatus | Fact::GrpcMessages))
    }

    pub fn is_of_labels(&self) -> bool {
        matches!(self.key, Key::Fact(fact) if fact.is_of_labels())
    }

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
