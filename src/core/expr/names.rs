//! Names to reads: Envoy's attributes, header lookups with a constant key, derived values, and peers.

use super::ast::{Ast, Node};
use super::check::{Checker, Lowered, Type};
use super::peer::Side;
use super::problem::{Span, hint};
use super::program::Op;
use super::value::{Read, Slot, Source};
use super::vocabulary::{ATTRIBUTES, AttributeId, AttributeType};
use crate::peer::Field;

/// A name with everything selected from it by constant keys.
type Path<'a> = (&'a str, Vec<&'a str>);

/// What a path means.
enum Meaning {
    /// A value the module can read.
    Read(Read, Type),
    /// Evaluated by the host: what it reads, and how.
    Host(&'static str, &'static str),
    /// Known to nobody here.
    Unknown,
}

// === impl Checker ===

impl Checker<'_> {
    /// An identifier, a selection or an index.
    pub fn name(&mut self, ast: &Ast) -> Lowered {
        let Some(path) = path(ast) else {
            return self.selected(ast);
        };
        let (read, kind) = self.read(ast.span, &path)?;
        let slot = self.slot(ast.span, read)?;
        Some((Op::Read(slot), kind))
    }

    /// `has(of.field)`
    pub fn has(&mut self, span: Span, of: &Ast, field: &str) -> Lowered {
        let Some((root, mut fields)) = path(of) else {
            return self.visit(span, "selects from a computed value", [of].into_iter());
        };
        fields.push(field);
        let (read, _) = self.read(span, &(root, fields))?;
        let slot = self.slot(span, read)?;
        Some((Op::Present(slot), Type::Bool))
    }

    /// `'name' in request.headers`; `None` if it is not of this shape.
    pub fn header_membership(&mut self, needle: &Ast, map: &Ast) -> Lowered {
        let (Node::Str(key), Some((root, mut fields))) = (&*needle.node, path(map)) else {
            return None;
        };
        if self.bound.iter().any(|name| name == root) {
            return None;
        }
        let whole = fields
            .first()
            .map(|field| format!("{root}.{field}"))
            .and_then(|name| AttributeId::of(&name));
        if fields.len() != 1 || whole?.attribute()?.kind != AttributeType::Headers {
            return None;
        }
        fields.push(key);
        let (read, _) = self.read(map.span, &(root, fields))?;
        let slot = self.slot(map.span, read)?;
        Some((Op::Present(slot), Type::Bool))
    }

    /// A selection from something that is not a name.
    fn selected(&mut self, ast: &Ast) -> Lowered {
        match &*ast.node {
            Node::Index(of, index) => {
                self.visit(ast.span, "looks up a computed key", [of, index].into_iter())
            }
            Node::Select(of, _) => {
                self.visit(ast.span, "selects from a computed value", [of].into_iter())
            }
            _ => None,
        }
    }

    fn slot(&mut self, span: Span, read: Read) -> Option<Slot> {
        let Some(slot) = self.slots.intern(read) else {
            return self.host(span, || "reads more values than fit".to_owned());
        };
        if !self.reads.contains(&slot) {
            self.reads.push(slot);
        }
        Some(slot)
    }

    fn read(&mut self, span: Span, path: &Path<'_>) -> Option<(Read, Type)> {
        if self.bound.iter().any(|name| name == path.0) {
            return self.host(span, || "uses a comprehension variable".to_owned());
        }
        match self.meaning(path) {
            Meaning::Read(read, kind) => {
                self.varies = true;
                self.derived |= !matches!(read.source, Source::Attribute(_));
                Some((read, kind))
            }
            Meaning::Host(name, how) => self.host(span, || format!("reads {name}{how}")),
            Meaning::Unknown => self.unknown(span, path),
        }
    }

    fn meaning(&mut self, (root, fields): &Path<'_>) -> Meaning {
        if let Some(read) = own(self.vocabulary.derived, root, fields) {
            return Meaning::Read(read, Type::Str);
        }
        let member = fields.first().and_then(|field| AttributeId::of(&format!("{root}.{field}")));
        let (id, rest) = match (AttributeId::of(root), member) {
            (Some(id), _) => (id, fields.as_slice()),
            (None, Some(id)) => (id, fields.get(1..).unwrap_or(&[])),
            (None, None) => return Meaning::Unknown,
        };
        let Some(attribute) = id.attribute() else {
            return Meaning::Unknown;
        };
        self.varies |= !attribute.fixed;
        let reason = |how| Meaning::Host(attribute.name, how);
        match (value_type(attribute.kind), attribute.kind, rest) {
            (Some(kind), _, []) => Meaning::Read(read(Source::Attribute(id), rest), kind),
            (None, AttributeType::Headers, [name]) => {
                let name = name.to_ascii_lowercase();
                Meaning::Read(read(Source::Attribute(id), &[name.as_str()]), Type::Str)
            }
            (None, AttributeType::Headers, []) => reason(", the whole map"),
            (None, AttributeType::Message, _) => reason(", a message"),
            _ => reason(" like a map"),
        }
    }

    /// A bare name may be another plugin's, so only what stands among Envoy's attributes or looks like one is doubtful.
    fn unknown<T>(&mut self, span: Span, (root, fields): &Path<'_>) -> Option<T> {
        self.varies = true;
        let prefix = format!("{root}.");
        let is_space = ATTRIBUTES.iter().any(|attribute| attribute.name.starts_with(&prefix));
        let Some(field) = fields.first() else {
            return self.host(span, || match is_space {
                true => format!("reads {root} as a whole"),
                false => format!("reads \"{root}\", which is not known here"),
            });
        };
        let name = prefix + field;
        let nearest = hint(&name, ATTRIBUTES.iter().map(|attribute| attribute.name));
        if is_space || !nearest.is_empty() {
            self.warn(span, format!("unknown attribute \"{name}\"{nearest}"));
        }
        self.host(span, || format!("reads \"{name}\", which is not known here"))
    }
}

/// The constant path an expression spells, if it starts at a name.
fn path(ast: &Ast) -> Option<Path<'_>> {
    match &*ast.node {
        Node::Ident(name) => Some((name, Vec::new())),
        Node::Select(of, field) => {
            let (root, mut fields) = path(of)?;
            fields.push(field);
            Some((root, fields))
        }
        Node::Index(of, index) => match &*index.node {
            Node::Str(key) => {
                let (root, mut fields) = path(of)?;
                fields.push(key);
                Some((root, fields))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What a path names that is not Envoy's: a derived value, bare or published as `filter_state['wasm.NAME']`, or a
/// property of a peer, `filter_state.upstream_peer.workload` or `filter_state.upstream_peer.labels['app']`.
fn own(names: &[String], root: &str, fields: &[&str]) -> Option<Read> {
    let derived = |name: &str| {
        let index = names.iter().position(|known| known == name)?;
        Some(read(Source::Derived(u16::try_from(index).ok()?), &[]))
    };
    match (root, fields) {
        ("filter_state", [key]) => derived(key.strip_prefix("wasm.")?),
        ("filter_state", [peer, property @ ..]) => {
            let side = Side::ALL.into_iter().find(|side| side.key() == *peer)?;
            let known = match property {
                [field] => Field::named(field.as_bytes()).is_some(),
                [labels, _] => *labels == "labels",
                _ => false,
            };
            known.then(|| read(Source::Peer(side), property))
        }
        (_, []) => derived(root),
        _ => None,
    }
}

fn read(source: Source, path: &[&str]) -> Read {
    Read { source, path: path.iter().map(|key| (*key).into()).collect() }
}

fn value_type(kind: AttributeType) -> Option<Type> {
    Some(match kind {
        AttributeType::Str => Type::Str,
        AttributeType::Int => Type::Int,
        AttributeType::Uint => Type::Uint,
        AttributeType::Bool => Type::Bool,
        AttributeType::Duration => Type::Duration,
        AttributeType::Timestamp => Type::Timestamp,
        AttributeType::Headers | AttributeType::Message => return None,
    })
}
