//! The syntax tree: the whole CEL grammar, a span on every node.

use super::problem::Span;

/// A node and its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ast {
    pub span: Span,
    /// Levels of nodes below and including this one.
    pub height: usize,
    pub node: Box<Node>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    /// `None`: a double whose value only the host computes.
    Double(Option<f64>),
    Str(String),
    Bytes(Vec<u8>),
    Ident(String),
    Select(Ast, String),
    /// The macro `has(operand.field)`.
    Has(Ast, String),
    Index(Ast, Ast),
    /// `name(args)` or `target.name(args)`.
    Call(Option<Ast>, String, Vec<Ast>),
    List(Vec<Ast>),
    Map(Vec<(Ast, Ast)>),
    /// `pkg.Name{field: value}`, always evaluated by the host.
    Message(Vec<Ast>),
    Not(Ast),
    Neg(Ast),
    Binary(Operator, Ast, Ast),
    /// A chain of `&&`, two or more.
    And(Vec<Ast>),
    /// A chain of `||`, two or more.
    Or(Vec<Ast>),
    Cond(Ast, Ast, Ast),
    /// Stands where an error was reported.
    Error,
}

/// Binary operators without short circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

// === impl Ast ===

impl Ast {
    pub fn new(span: Span, node: Node) -> Self {
        let height = 1 + node.children_height();
        Ast { span, height, node: Box::new(node) }
    }

    /// The dotted name an identifier or a chain of selections spells, such as `request.url_path`.
    pub fn dotted(&self) -> Option<String> {
        match &*self.node {
            Node::Ident(name) => Some(name.clone()),
            Node::Select(of, field) => Some(of.dotted()? + "." + field),
            _ => None,
        }
    }
}

// === impl Node ===

impl Node {
    fn children_height(&self) -> usize {
        let tallest = |parts: &[Ast]| parts.iter().map(|part| part.height).max().unwrap_or(0);
        match self {
            Node::Select(of, _) | Node::Has(of, _) | Node::Not(of) | Node::Neg(of) => of.height,
            Node::Index(a, b) | Node::Binary(_, a, b) => a.height.max(b.height),
            Node::Call(target, _, args) => {
                target.as_ref().map_or(0, |t| t.height).max(tallest(args))
            }
            Node::List(parts) | Node::Message(parts) | Node::And(parts) | Node::Or(parts) => {
                tallest(parts)
            }
            Node::Map(entries) => {
                entries.iter().map(|(k, v)| k.height.max(v.height)).max().unwrap_or(0)
            }
            Node::Cond(a, b, c) => a.height.max(b.height).max(c.height),
            _ => 0,
        }
    }
}

// === impl Operator ===

impl Operator {
    /// The operator a token spells, and how tightly it binds.
    pub fn of(token: &str) -> Option<(Operator, u8)> {
        Some(match token {
            "==" => (Operator::Eq, 1),
            "!=" => (Operator::Ne, 1),
            "<" => (Operator::Lt, 1),
            "<=" => (Operator::Le, 1),
            ">" => (Operator::Gt, 1),
            ">=" => (Operator::Ge, 1),
            "in" => (Operator::In, 1),
            "+" => (Operator::Add, 2),
            "-" => (Operator::Sub, 2),
            "*" => (Operator::Mul, 3),
            "/" => (Operator::Div, 3),
            "%" => (Operator::Rem, 3),
            _ => return None,
        })
    }

    pub fn symbol(self) -> &'static str {
        match self {
            Operator::Eq => "==",
            Operator::Ne => "!=",
            Operator::Lt => "<",
            Operator::Le => "<=",
            Operator::Gt => ">",
            Operator::Ge => ">=",
            Operator::In => "in",
            Operator::Add => "+",
            Operator::Sub => "-",
            Operator::Mul => "*",
            Operator::Div => "/",
            Operator::Rem => "%",
        }
    }
}
