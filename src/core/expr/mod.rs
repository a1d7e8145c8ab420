//! Expressions: CEL over Envoy's attributes, evaluated in the module wherever that gives exactly the host's answer.
//!
//! ```text
//! text --lex, parse--> syntax tree --check--> Program            (Constant, Native, Derived)
//!                                          \-> reason, text kept  (Host, or Constant over node metadata)
//! ```
//!
//! [`compile`] refuses only what no CEL host takes: bad syntax, and what exceeds [`limits`]. Everything else has a
//! [`Class`]. Doubtful but valid things (an unknown attribute, a comparison of a string with a number) are
//! [`Expr::warnings`].

#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets and counts stay below limits::MAX_TEXT and the memory of a 32-bit module; values of expressions \
              are calculated with checked operations only"
)]

mod amount;
mod ast;
mod bound;
mod call;
mod check;
mod compare;
mod eval;
mod lex;
pub mod limits;
mod literal;
mod names;
mod number;
mod numbers;
mod operand;
mod parse;
mod peer;
mod problem;
mod program;
mod regex;
mod value;
mod vocabulary;

pub use amount::amount;
pub use bound::{Bound, Findings, NoValue, Scope};
pub use check::Type;
pub use peer::{PeersRead, Side};
pub use problem::{Problem, Severity, Span};
pub use program::Program;
pub use regex::{Refused, RegexSet};
pub use value::{EvalError, Facts, Read, Slot, Slots, Source, Value};
pub use vocabulary::{ATTRIBUTES, Attribute, AttributeId, AttributeType, Vocabulary};

pub(crate) use numbers::Numbers;
pub(crate) use program::{Comparison, Const, Op, TextTest};

use core::fmt;

/// Where and when an expression is evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// The same for every request: evaluated once, in the module or, if it reads `xds.node`, by the host.
    Constant,
    /// In the module, over values already fetched.
    Native,
    /// Native, and a value derived here, or a peer, is among what it reads.
    Derived,
    /// By the host's CEL.
    Host {
        /// The part of the text that needs the host.
        span: Span,
        /// What it does, such as `calls all()`.
        reason: String,
    },
}

/// A compiled expression.
#[derive(Debug)]
pub struct Expr {
    text: Box<str>,
    class: Class,
    program: Option<Program>,
    kind: Type,
    reads: Vec<Slot>,
    warnings: Vec<Problem>,
    doubts: Vec<Problem>,
    /// Why it fails for every stream.
    failing: Option<Problem>,
}

/// Compiles `text`, adding what it reads to `slots`, or reports every syntax error at once.
///
/// ```
/// use opmeter_core::expr::{Class, Slots, Vocabulary, compile};
/// let mut slots = Slots::default();
/// let names = ["istio_operation_id".to_owned()];
/// let vocabulary = Vocabulary { derived: &names };
/// let mut class = |text| compile(text, &vocabulary, &mut slots).unwrap().class().to_string();
/// assert_eq!(class("'gateway'"), "constant");
/// assert_eq!(class("request.method == 'GET'"), "native");
/// assert_eq!(class("istio_operation_id + '!'"), "derived");
/// assert_eq!(class("request.headers.all(x, x != '')"), "host: calls all()");
/// ```
///
/// # Errors
/// Syntax errors and exceeded limits, in the order of the text, at most [`limits::MAX_PROBLEMS`].
pub fn compile(
    text: &str,
    vocabulary: &Vocabulary<'_>,
    slots: &mut Slots,
) -> Result<Expr, Vec<Problem>> {
    compile_as(text, Wanted::Value, vocabulary, slots)
}

/// [`compile`], but the value is wanted as CEL's `string()` writes it.
///
/// # Errors
/// As [`compile`].
pub fn compile_text(
    text: &str,
    vocabulary: &Vocabulary<'_>,
    slots: &mut Slots,
) -> Result<Expr, Vec<Problem>> {
    compile_as(text, Wanted::Text, vocabulary, slots)
}

/// In what form a value is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Value,
    Text,
}

fn compile_as(
    text: &str,
    wanted: Wanted,
    vocabulary: &Vocabulary<'_>,
    slots: &mut Slots,
) -> Result<Expr, Vec<Problem>> {
    let ast = parse::parse(text)?;
    let known = slots.len();
    let mut checker = check::Checker::new(vocabulary, slots);
    let mut lowered = checker.lower(&ast);
    if wanted == Wanted::Text {
        lowered = checker.converted(ast.span, program::Conversion::Str, "string", lowered);
    }
    let check::Checker {
        host, varies, derived, mut reads, mut warnings, mut doubts, failing, ..
    } = checker;
    warnings.extend(failing.clone());
    warnings.truncate(limits::MAX_PROBLEMS);
    doubts.truncate(limits::MAX_PROBLEMS);
    if lowered.is_none() {
        slots.truncate(known);
        reads.clear();
    }
    let class = match (&lowered, host, varies) {
        (_, _, false) => Class::Constant,
        (Some(_), ..) if derived => Class::Derived,
        (Some(_), ..) => Class::Native,
        (None, Some((span, reason)), _) => Class::Host { span, reason },
        (None, None, _) => Class::Host { span: ast.span, reason: String::new() },
    };
    let kind = lowered.as_ref().map_or(Type::Dyn, |(_, kind)| *kind);
    let program = lowered.map(|(root, _)| Program { root });
    Ok(Expr { text: text.into(), class, program, kind, reads, warnings, doubts, failing })
}

// === impl Expr ===

impl Expr {
    /// The text as given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the expression is evaluated.
    pub fn class(&self) -> &Class {
        &self.class
    }

    /// The program, unless the host evaluates the expression. A [`Class::Constant`] without a program is evaluated by
    /// the host, once, while configuring.
    pub fn program(&self) -> Option<&Program> {
        self.program.as_ref()
    }

    /// What the program reads, each once.
    pub fn reads(&self) -> &[Slot] {
        &self.reads
    }

    /// Type of the value, as far as known without a request.
    pub fn kind(&self) -> Type {
        self.kind
    }

    /// Attributes and functions nobody knows, which do not keep the expression from running.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Types that do not go together. Empty without the crate's feature `explain`, as is the reason of [`Class::Host`]:
    /// they are for people who write expressions, not for the proxy.
    pub fn doubts(&self) -> &[Problem] {
        &self.doubts
    }
}

// === impl Class ===

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Class::Constant => f.write_str("constant"),
            Class::Native => f.write_str("native"),
            Class::Derived => f.write_str("derived"),
            Class::Host { reason, .. } => write!(f, "host: {reason}"),
        }
    }
}
