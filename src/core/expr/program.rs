//! The compiled form of a native expression. Its depth is bounded by the parser.

use super::regex::RegexSet;
use super::value::Slot;
use core::cmp::Ordering;

/// A native expression, ready to run; see [`Program::eval`].
#[derive(Debug)]
pub struct Program {
    pub(crate) root: Op,
}

#[derive(Debug)]
pub(crate) enum Op {
    Const(Const),
    Read(Slot),
    /// Whether the request has the value.
    Present(Slot),
    Not(Box<Op>),
    Neg(Box<Op>),
    Compare(Comparison, Box<(Op, Op)>),
    Arithmetic(Arithmetic, Box<(Op, Op)>),
    /// Membership in a list of which every element is evaluated.
    In(Box<Op>, Box<[Op]>),
    /// Membership in texts.
    InTexts(Box<Op>, Box<[Box<[u8]>]>),
    And(Box<[Op]>),
    Or(Box<[Op]>),
    Cond(Box<(Op, Op, Op)>),
    Text(TextTest, Box<(Op, Op)>),
    Matches(Box<Op>, Box<Regex>),
    Convert(Conversion, Box<Op>),
}

/// A pattern of `matches()`.
#[derive(Debug)]
pub(crate) struct Regex {
    pub pattern: Box<str>,
    pub set: RegexSet,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Const {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Str(Box<[u8]>),
    Bytes(Box<[u8]>),
    Duration(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// `size()` of a text or bytes.
    Size,
    /// `string()`
    Str,
    /// `int()`
    Int,
}

// === impl Comparison ===

impl Comparison {
    /// Whether two ordered values stand in this relation.
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Eq => order.is_eq(),
            Comparison::Ne => order.is_ne(),
            Comparison::Lt => order.is_lt(),
            Comparison::Le => order.is_le(),
            Comparison::Gt => order.is_gt(),
            Comparison::Ge => order.is_ge(),
        }
    }
}
