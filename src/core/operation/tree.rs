//! Many templates at once: a tree with one level per path segment.
//!
//! Literal children of all nodes live in one hash table keyed by node and segment, so a level costs one lookup however
//! many siblings there are. Where several templates match, the most specific wins: from left to right a literal segment
//! before text around a parameter before a parameter before the rest of the path (the order of OpenAPI 3.1, "Paths
//! Object"); then one method before any method. A HEAD request is also what GET is, as it is a GET without content (RFC
//! 9110, section 9.3.2): a template for HEAD goes before one for GET of the same path.

use super::template::{Segment, Template, cut, decode, mixed};
use crate::expr::Numbers;
use core::cell::RefCell;
use core::cmp::Reverse;

/// Absent node or leaf.
const NONE: u32 = u32::MAX;

/// Templates with their methods; values are the caller's numbers.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    /// Numbers of the nodes reached by a literal segment.
    literals: Numbers,
    /// Literal segments of all nodes.
    text: Vec<u8>,
    mixed: Vec<Mixed>,
    leaves: Vec<Leaf>,
    methods: Vec<Box<[u8]>>,
    /// The path in hand, decoded; only used for paths with a percent sign.
    decoded: RefCell<Vec<u8>>,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    /// Segment that leads here, in `text`.
    start: u32,
    len: u32,
    param: u32,
    /// First of the node's [`Mixed`] children, most specific first.
    mixed: u32,
    /// First [`Leaf`] of templates that end here.
    leaf: u32,
    /// First [`Leaf`] of templates that end with the rest of the path here.
    rest: u32,
}

#[derive(Debug)]
struct Mixed {
    pieces: Box<[Box<[u8]>]>,
    node: u32,
    next: u32,
}

#[derive(Debug)]
struct Leaf {
    /// Index into `methods`, or [`NONE`] for any; any comes last.
    method: u32,
    value: u32,
    next: u32,
}

/// A request's method, and another whose templates stand for it too; [`NONE`] for one that no template names.
#[derive(Clone, Copy)]
struct Asked {
    own: u32,
    or: u32,
}

/// Two templates that match the same paths with the same method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Value of the template inserted first.
    pub with: u32,
}

// === impl Tree ===

impl Default for Tree {
    fn default() -> Self {
        let mut tree = Tree {
            nodes: Vec::new(),
            literals: Numbers::default(),
            text: Vec::new(),
            mixed: Vec::new(),
            leaves: Vec::new(),
            methods: Vec::new(),
            decoded: RefCell::default(),
        };
        tree.add_node(NONE, &[]);
        tree
    }
}

impl Tree {
    /// Adds a template for a method, case-sensitive, or for any method.
    ///
    /// # Errors
    /// [`Conflict`] if an equal template is there for the same method; names of parameters do not count.
    ///
    /// ```
    /// use opmeter_core::operation::{Conflict, Template, Tree};
    /// let mut tree = Tree::default();
    /// let template = |text| Template::parse(text).unwrap();
    /// tree.insert(Some("GET"), &template("/users/{id}"), 0).unwrap();
    /// tree.insert(Some("GET"), &template("/users/me"), 1).unwrap();
    /// assert_eq!(tree.insert(Some("GET"), &template("/users/{name}"), 2), Err(Conflict { with: 0 }));
    /// assert_eq!(tree.find(b"GET", b"/users/me?x"), Some(1));
    /// assert_eq!(tree.find(b"GET", b"/users/7"), Some(0));
    /// ```
    pub fn insert(
        &mut self,
        method: Option<&str>,
        template: &Template,
        value: u32,
    ) -> Result<(), Conflict> {
        let mut at = 0;
        let mut rest = false;
        for segment in &template.segments {
            at = match segment {
                Segment::Literal(literal) => {
                    self.literal(at, literal).unwrap_or_else(|| self.add_literal(at, literal))
                }
                Segment::Mixed(pieces) => self.mixed_child(at, pieces),
                Segment::Param => self.param_child(at),
                Segment::Rest => {
                    rest = true;
                    at
                }
            };
        }
        let method = method.map_or(NONE, |method| self.method(method));
        self.add_leaf(at, rest, method, value)
    }

    /// The value of the most specific template for a request. The path may carry a query.
    pub fn find(&self, method: &[u8], path: &[u8]) -> Option<u32> {
        let path = cut(path);
        let number = |method: &[u8]| {
            let known = self.methods.iter().position(|known| **known == *method);
            known.map_or(NONE, |at| at as u32)
        };
        let own = number(method);
        let method = Asked { own, or: if method == b"HEAD" { number(b"GET") } else { own } };
        if !path.contains(&b'%') {
            return self.search(0, method, path.strip_prefix(b"/")?);
        }
        let mut decoded = self.decoded.try_borrow_mut().ok()?;
        decoded.clear();
        decode(path, &mut decoded);
        self.search(0, method, decoded.strip_prefix(b"/")?)
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        let pieces = |m: &Mixed| m.pieces.iter().map(|piece| piece.len() + 16).sum::<usize>();
        self.nodes.capacity() * size_of::<Node>()
            + self.literals.memory()
            + self.text.capacity()
            + self.mixed.iter().map(|m| size_of::<Mixed>() + pieces(m)).sum::<usize>()
            + self.leaves.capacity() * size_of::<Leaf>()
    }

    /// Walks down from `at`; the depth is bounded by the templates.
    fn search(&self, at: u32, method: Asked, path: &[u8]) -> Option<u32> {
        let len = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
        let (own, tail) = path.split_at_checked(len)?;
        let go = |child: u32| match tail.split_first() {
            Some((_, tail)) => self.search(child, method, tail),
            None => self.leaf(self.nodes.get(child as usize)?.leaf, method),
        };
        let node = self.nodes.get(at as usize)?;
        if let Some(found) = self.literal(at, own).and_then(go) {
            return Some(found);
        }
        let mut next = node.mixed;
        while let Some(child) = self.mixed.get(next as usize) {
            if let Some(found) = Some(child.node).filter(|_| mixed(&child.pieces, own)).and_then(go)
            {
                return Some(found);
            }
            next = child.next;
        }
        let param = Some(node.param).filter(|child| *child != NONE && !own.is_empty());
        param.and_then(go).or_else(|| self.leaf(node.rest, method))
    }

    fn leaf(&self, mut at: u32, method: Asked) -> Option<u32> {
        let mut other = None;
        while let Some(leaf) = self.leaves.get(at as usize) {
            if leaf.method == NONE {
                return other.or(Some(leaf.value));
            }
            if leaf.method == method.own {
                return Some(leaf.value);
            }
            if leaf.method == method.or {
                other = Some(leaf.value);
            }
            at = leaf.next;
        }
        other
    }

    fn segment(&self, node: &Node) -> &[u8] {
        let start = node.start as usize;
        self.text.get(start..start + node.len as usize).unwrap_or(&[])
    }

    fn literal(&self, parent: u32, segment: &[u8]) -> Option<u32> {
        let same = |id: u32| {
            let node = self.nodes.get(id as usize);
            node.is_some_and(|node| node.parent == parent && self.segment(node) == segment)
        };
        self.literals.find(self.literals.hash((parent, segment)), &same)
    }

    fn add_literal(&mut self, parent: u32, segment: &[u8]) -> u32 {
        let id = self.add_node(parent, segment);
        self.literals.insert(self.literals.hash((parent, segment)), id);
        id
    }

    fn add_node(&mut self, parent: u32, segment: &[u8]) -> u32 {
        let (start, len) = (self.text.len() as u32, segment.len() as u32);
        self.text.extend_from_slice(segment);
        self.nodes.push(Node {
            parent,
            start,
            len,
            param: NONE,
            mixed: NONE,
            leaf: NONE,
            rest: NONE,
        });
        (self.nodes.len() - 1) as u32
    }

    fn param_child(&mut self, at: u32) -> u32 {
        match self.nodes.get(at as usize) {
            Some(node) if node.param != NONE => node.param,
            _ => {
                let id = self.add_node(at, &[]);
                if let Some(node) = self.nodes.get_mut(at as usize) {
                    node.param = id;
                }
                id
            }
        }
    }

    fn mixed_child(&mut self, at: u32, pieces: &[Box<[u8]>]) -> u32 {
        let mut previous = NONE;
        let mut next = self.nodes.get(at as usize).map_or(NONE, |node| node.mixed);
        while let Some(child) = self.mixed.get(next as usize) {
            if *child.pieces == *pieces {
                return child.node;
            }
            if rank(pieces) > rank(&child.pieces) {
                break;
            }
            (previous, next) = (next, child.next);
        }
        let node = self.add_node(at, &[]);
        let id = self.mixed.len() as u32;
        self.mixed.push(Mixed { pieces: pieces.into(), node, next });
        match (self.mixed.get_mut(previous as usize), self.nodes.get_mut(at as usize)) {
            (Some(child), _) => child.next = id,
            (None, Some(node)) => node.mixed = id,
            (None, None) => {}
        }
        node
    }

    fn method(&mut self, method: &str) -> u32 {
        let known = self.methods.iter().position(|known| **known == *method.as_bytes());
        known.unwrap_or_else(|| {
            self.methods.push(method.as_bytes().into());
            self.methods.len() - 1
        }) as u32
    }

    fn add_leaf(&mut self, at: u32, rest: bool, method: u32, value: u32) -> Result<(), Conflict> {
        let Some(node) = self.nodes.get_mut(at as usize) else { return Ok(()) };
        let first = if rest { &mut node.rest } else { &mut node.leaf };
        let (mut last, mut next) = (NONE, *first);
        while let Some(leaf) = self.leaves.get(next as usize) {
            if leaf.method == method {
                return Err(Conflict { with: leaf.value });
            }
            if leaf.method == NONE {
                break;
            }
            (last, next) = (next, leaf.next);
        }
        let id = self.leaves.len() as u32;
        let after = if method == NONE { NONE } else { next };
        self.leaves.push(Leaf { method, value, next: after });
        match self.leaves.get_mut(last as usize) {
            Some(leaf) => leaf.next = id,
            None => *first = id,
        }
        Ok(())
    }
}

/// Order of the mixed segments of one node, the greatest first: more literal bytes, more of them before the first
/// parameter, fewer parameters; the text last, so that the order of insertion never matters.
fn rank(pieces: &[Box<[u8]>]) -> (usize, usize, Reverse<usize>, &[Box<[u8]>]) {
    let total = pieces.iter().map(|piece| piece.len()).sum();
    (total, pieces.first().map_or(0, |piece| piece.len()), Reverse(pieces.len()), pieces)
}
