//! Syntax tree to typed program, where the module can evaluate the expression itself; the reason why not otherwise.
//! The whole tree is visited either way, so that every doubtful name and type is reported.

use super::ast::{Ast, Node, Operator};
use super::problem::{Problem, Span};
use super::program::{Arithmetic, Comparison, Const, Op};
use super::value::{Slot, Slots};
use super::vocabulary::Vocabulary;

/// Static type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// CEL `null`.
    Null,
    /// CEL `bool`.
    Bool,
    /// CEL `int`.
    Int,
    /// CEL `uint`.
    Uint,
    /// CEL `double`.
    Double,
    /// CEL `string`.
    Str,
    /// CEL `bytes`.
    Bytes,
    /// A duration.
    Duration,
    /// A point in time.
    Timestamp,
    /// Known when evaluated.
    Dyn,
}

/// A native expression and its type.
pub(super) type Lowered = Option<(Op, Type)>;

/// Walks one expression.
pub(super) struct Checker<'c> {
    pub vocabulary: &'c Vocabulary<'c>,
    pub slots: &'c mut Slots,
    pub warnings: Vec<Problem>,
    pub doubts: Vec<Problem>,
    /// What fails whenever it is evaluated.
    pub failing: Option<Problem>,
    /// The first reason why the host must evaluate the expression.
    pub host: Option<(Span, String)>,
    /// Variables of the comprehensions around.
    pub bound: Vec<String>,
    /// Something that differs between requests is read.
    pub varies: bool,
    /// One of our own values is read.
    pub derived: bool,
    /// What is read, each once.
    pub reads: Vec<Slot>,
}

// === impl Checker ===

impl<'c> Checker<'c> {
    pub fn new(vocabulary: &'c Vocabulary<'c>, slots: &'c mut Slots) -> Self {
        Checker {
            vocabulary,
            slots,
            warnings: Vec::new(),
            doubts: Vec::new(),
            failing: None,
            host: None,
            bound: Vec::new(),
            varies: false,
            derived: false,
            reads: Vec::new(),
        }
    }

    /// Leaves the expression to the host; the first reason is kept.
    pub fn host<T>(&mut self, span: Span, reason: impl FnOnce() -> String) -> Option<T> {
        if cfg!(feature = "explain") {
            self.host.get_or_insert_with(|| (span, reason()));
        }
        None
    }

    /// Names that nobody knows.
    pub fn warn(&mut self, span: Span, message: String) {
        self.warnings.push(Problem::warning(span, message));
    }

    /// Types that do not go together.
    pub fn doubt(&mut self, span: Span, message: impl FnOnce() -> String) {
        if cfg!(feature = "explain") {
            self.doubts.push(Problem::warning(span, message()));
        }
    }

    pub fn lower(&mut self, ast: &Ast) -> Lowered {
        match &*ast.node {
            Node::Null => Some((Op::Const(Const::Null), Type::Null)),
            Node::Bool(value) => Some((Op::Const(Const::Bool(*value)), Type::Bool)),
            Node::Int(value) => Some((Op::Const(Const::Int(*value)), Type::Int)),
            Node::Uint(value) => Some((Op::Const(Const::Uint(*value)), Type::Uint)),
            Node::Double(Some(value)) => Some((Op::Const(Const::Double(*value)), Type::Double)),
            Node::Double(None) => self
                .host(ast.span, || "has a double with more digits than are exact here".to_owned()),
            Node::Str(text) => Some((Op::Const(Const::Str(text.as_bytes().into())), Type::Str)),
            Node::Bytes(bytes) => {
                Some((Op::Const(Const::Bytes(bytes.as_slice().into())), Type::Bytes))
            }
            Node::Ident(_) | Node::Select(..) | Node::Index(..) => self.name(ast),
            Node::Has(of, field) => self.has(ast.span, of, field),
            Node::Call(target, name, args) => self.call(ast.span, target.as_ref(), name, args),
            Node::List(elements) => self.visit(ast.span, "builds a list", elements),
            Node::Map(entries) => self.visit(ast.span, "builds a map", entries),
            Node::Message(values) => self.visit(ast.span, "builds a message", values),
            Node::Not(of) => {
                let of = self.bool(of, "!");
                Some((Op::Not(Box::new(of?)), Type::Bool))
            }
            Node::Neg(of) => self.negation(of),
            Node::Binary(Operator::In, needle, list) => self.membership(ast.span, needle, list),
            Node::Binary(operator, left, right) => self.binary(ast.span, *operator, left, right),
            Node::And(parts) => self.parts(parts, "&&").map(|parts| (Op::And(parts), Type::Bool)),
            Node::Or(parts) => self.parts(parts, "||").map(|parts| (Op::Or(parts), Type::Bool)),
            Node::Cond(test, yes, no) => self.conditional(test, yes, no),
            Node::Error => None,
        }
    }

    /// Visits operands of something only the host evaluates.
    pub fn visit_each(&mut self, span: Span, reason: &str, parts: &[&Ast]) -> Lowered {
        self.host::<()>(span, || reason.to_owned());
        for part in parts {
            self.lower(part);
        }
        None
    }

    fn visit(&mut self, span: Span, reason: &str, parts: &[Ast]) -> Lowered {
        self.host::<()>(span, || reason.to_owned());
        self.visit_all(parts)
    }

    pub fn visit_all(&mut self, parts: &[Ast]) -> Lowered {
        for part in parts {
            self.lower(part);
        }
        None
    }

    fn bool(&mut self, ast: &Ast, operator: &str) -> Option<Op> {
        let (op, kind) = self.lower(ast)?;
        if !matches!(kind, Type::Bool | Type::Dyn) {
            self.doubt(ast.span, || format!("\"{operator}\" needs bool, found {}", kind.name()));
        }
        Some(op)
    }

    fn parts(&mut self, parts: &[Ast], operator: &str) -> Option<Box<[Op]>> {
        let mut ops = Vec::with_capacity(parts.len());
        for part in parts {
            ops.extend(self.bool(part, operator));
        }
        (ops.len() == parts.len()).then(|| ops.into())
    }

    fn negation(&mut self, of: &Ast) -> Lowered {
        let (op, kind) = self.lower(of)?;
        if !matches!(kind, Type::Int | Type::Double | Type::Dyn) {
            self.doubt(of.span, || format!("\"-\" needs int or double, found {}", kind.name()));
        }
        Some((Op::Neg(Box::new(op)), kind))
    }

    fn conditional(&mut self, test: &Ast, yes: &Ast, no: &Ast) -> Lowered {
        let (test, yes, no) = (self.bool(test, "?:"), self.lower(yes), self.lower(no));
        let (test, (yes, first), (no, second)) = (test?, yes?, no?);
        let kind = if first == second { first } else { Type::Dyn };
        Some((Op::Cond(Box::new((test, yes, no))), kind))
    }

    fn membership(&mut self, span: Span, needle: &Ast, list: &Ast) -> Lowered {
        if let Some(lowered) = self.header_membership(needle, list) {
            return Some(lowered);
        }
        let Node::List(elements) = &*list.node else {
            let reason = "looks into something that is not a list here";
            return self.visit_each(span, reason, &[needle, list]);
        };
        let needle = self.lower(needle);
        let never = |element| needle.as_ref().is_some_and(|(_, kind)| never_equal(*kind, element));
        let mut none = !elements.is_empty();
        let mut ops = Vec::with_capacity(elements.len());
        for element in elements {
            if let Some((op, element)) = self.lower(element) {
                none &= never(element);
                ops.push(op);
            }
        }
        let all = ops.len() == elements.len();
        let (needle, kind) = needle.filter(|_| all)?;
        if none {
            self.doubt(span, || {
                format!("\"in\" looks for {} where there is none: always false", kind.name())
            });
        }
        Some((in_list(needle, ops.into()), Type::Bool))
    }

    fn binary(&mut self, span: Span, operator: Operator, left: &Ast, right: &Ast) -> Lowered {
        let (left, right) = (self.lower(left), self.lower(right));
        let ((left, first), (right, second)) = (left?, right?);
        let sides = Box::new((left, right));
        if let Some(comparison) = comparison(operator) {
            self.compared(span, operator, first, second);
            return Some((Op::Compare(comparison, sides), Type::Bool));
        }
        let arithmetic = arithmetic(operator)?;
        let exotic = [Type::Duration, Type::Timestamp, Type::Dyn];
        if exotic.contains(&first) || exotic.contains(&second) {
            return self.host(span, || format!("calculates with {}", first.name()));
        }
        if first != second {
            self.doubt(span, || {
                let (first, second) = (first.name(), second.name());
                format!("\"{}\" of {first} and {second} always fails", operator.symbol())
            });
        }
        Some((Op::Arithmetic(arithmetic, sides), first))
    }

    /// Warns of a comparison that is always false or always fails.
    fn compared(&mut self, span: Span, operator: Operator, left: Type, right: Type) {
        if !never_equal(left, right) {
            return;
        }
        let fate = match operator {
            Operator::Eq => "is always false",
            Operator::Ne => "is always true",
            _ => "always fails",
        };
        self.doubt(span, || {
            format!("\"{}\" of {} and {} {fate}", operator.symbol(), left.name(), right.name())
        });
    }
}

fn in_list(needle: Op, elements: Box<[Op]>) -> Op {
    let mut texts = Vec::with_capacity(elements.len());
    for element in &elements {
        match element {
            Op::Const(Const::Str(text)) => texts.push(text.clone()),
            _ => return Op::In(Box::new(needle), elements),
        }
    }
    Op::InTexts(Box::new(needle), texts.into())
}

fn comparison(operator: Operator) -> Option<Comparison> {
    Some(match operator {
        Operator::Eq => Comparison::Eq,
        Operator::Ne => Comparison::Ne,
        Operator::Lt => Comparison::Lt,
        Operator::Le => Comparison::Le,
        Operator::Gt => Comparison::Gt,
        Operator::Ge => Comparison::Ge,
        _ => return None,
    })
}

fn arithmetic(operator: Operator) -> Option<Arithmetic> {
    Some(match operator {
        Operator::Add => Arithmetic::Add,
        Operator::Sub => Arithmetic::Sub,
        Operator::Mul => Arithmetic::Mul,
        Operator::Div => Arithmetic::Div,
        Operator::Rem => Arithmetic::Rem,
        _ => return None,
    })
}

/// Whether values of the two types are never equal.
fn never_equal(left: Type, right: Type) -> bool {
    let number = |kind| matches!(kind, Type::Int | Type::Uint | Type::Double);
    left != right && left != Type::Dyn && right != Type::Dyn && !(number(left) && number(right))
}

// === impl Type ===

impl Type {
    /// As CEL spells it.
    pub fn name(self) -> &'static str {
        match self {
            Type::Null => "null",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::Str => "string",
            Type::Bytes => "bytes",
            Type::Duration => "duration",
            Type::Timestamp => "timestamp",
            Type::Dyn => "dyn",
        }
    }
}
