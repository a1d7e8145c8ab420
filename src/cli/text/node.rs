//! One value of a document and where it stands.

use std::ops::Range;

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Bytes of the file.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Text and how it is written.
    Scalar(String, Style),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text.
    Map(Vec<Entry>),
}

/// How a scalar is written, which decides whether it may be a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In `'`.
    Single,
    /// In `"`.
    Double,
    /// A block that begins with `|`.
    Literal,
    /// A block that begins with `>`.
    Folded,
}

/// One entry of a mapping.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Node,
}

// === impl Node ===

impl Node {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value at the end of several keys.
    pub fn down(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The value under whichever of the names is there.
    pub fn either(&self, names: [&str; 2]) -> Option<&Node> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Elements of a list; none for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The text at the end of several keys.
    pub fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.down(keys).and_then(Node::text)
    }

    /// Whether it is the plain word `true`.
    pub fn is_true(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(text, Style::Plain) if text.eq_ignore_ascii_case("true"))
    }

    /// Whether it is a mapping.
    pub fn is_map(&self) -> bool {
        matches!(self.kind, Kind::Map(_))
    }

    /// Calls `visit` for this value and all inside it.
    pub fn walk<'n>(&'n self, visit: &mut dyn FnMut(&'n Node)) {
        visit(self);
        match &self.kind {
            Kind::Scalar(..) => {}
            Kind::List(items) => items.iter().for_each(|item| item.walk(visit)),
            Kind::Map(entries) => entries.iter().for_each(|entry| entry.value.walk(visit)),
        }
    }

    /// The same value with every place moved by `to`.
    pub(super) fn moved(self, to: &impl Fn(usize) -> usize) -> Self {
        let span = |span: Range<usize>| to(span.start)..to(span.end);
        let kind = match self.kind {
            Kind::Scalar(..) => self.kind,
            Kind::List(items) => Kind::List(items.into_iter().map(|n| n.moved(to)).collect()),
            Kind::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|entry| Entry {
                        key: entry.key,
                        key_span: span(entry.key_span),
                        value: entry.value.moved(to),
                    })
                    .collect(),
            ),
        };
        Self { span: span(self.span), kind }
    }
}
