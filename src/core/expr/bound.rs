//! Expressions bound to the proxy they are evaluated in: the only place that decides where that happens.

use super::{Class, EvalError, Expr, Facts, Program, Slot, Slots, Value, Vocabulary, compile};
use crate::attribute::decode;
use crate::port::{ExprId, Host};

/// An expression that can be evaluated for a stream.
#[derive(Debug)]
pub struct Bound(How);

#[derive(Debug)]
enum How {
    /// Known while configuring, as text.
    Constant(Vec<u8>),
    /// Evaluated here, over values already fetched.
    Native(Program),
    /// Evaluated by the host for each stream.
    Host(ExprId),
}

/// Why an expression has no value for this stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoValue {
    /// A value of our own that is not set: the ordinary case of a request without an operation.
    NotSet,
    /// An attribute is missing, or a type does not fit.
    Failed,
}

/// What expressions of one phase may name, and everything they read.
#[derive(Debug)]
pub struct Scope<'n> {
    /// Names this module answers itself.
    pub derived: &'n [String],
    /// What the expressions read.
    pub slots: Slots,
}

/// Findings about an expression, each with its place and a caret under it.
pub type Findings = Vec<String>;

/// No stream yet.
struct Nothing;

// === impl Scope ===

impl<'n> Scope<'n> {
    /// A scope in which nothing is read yet.
    pub fn new(derived: &'n [String]) -> Self {
        Self { derived, slots: Slots::default() }
    }

    /// Binds an expression whose value is wanted as text, written as CEL's `string()` does; also what is doubtful
    /// about it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn text(
        &mut self,
        text: &str,
        host: &mut impl Host,
    ) -> Result<(Bound, Findings), Findings> {
        let warnings = self.check(text)?;
        let whole = format!("string(\n{text}\n)");
        let expr = self.compile(&whole)?;
        Ok((bind(expr, &whole, host)?, warnings))
    }

    /// Compiles a condition; also what is doubtful about it. It is bound with [`Bound::condition`].
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn condition(&mut self, text: &str) -> Result<(Expr, Findings), Findings> {
        let warnings = self.check(text)?;
        Ok((self.compile(text)?, warnings))
    }

    fn check(&self, text: &str) -> Result<Findings, Findings> {
        let vocabulary = Vocabulary { derived: self.derived };
        let expr = compile(text, &vocabulary, &mut Slots::default());
        let render = |problems: &[super::Problem]| -> Findings {
            problems.iter().map(|problem| problem.render(text)).collect()
        };
        expr.map(|expr| render(expr.warnings())).map_err(|problems| render(&problems))
    }

    fn compile(&mut self, text: &str) -> Result<Expr, Findings> {
        let vocabulary = Vocabulary { derived: self.derived };
        compile(text, &vocabulary, &mut self.slots)
            .map_err(|problems| problems.iter().map(|problem| problem.render(text)).collect())
    }
}

/// `text` is what the host is given when it has to evaluate the expression.
fn bind(expr: Expr, text: &str, host: &mut impl Host) -> Result<Bound, Findings> {
    let constant = *expr.class() == Class::Constant;
    if let Some(program) = expr.into_program() {
        let value = if constant { constant_text(&program) } else { None };
        return Ok(Bound(value.map_or(How::Native(program), How::Constant)));
    }
    let refused = |_| vec![format!("the proxy does not take the expression: {}", text.trim())];
    let id = host.compile(text).map_err(refused)?;
    let mut value = Vec::new();
    if constant && host.evaluate(id, &mut value).is_ok() {
        return Ok(Bound(How::Constant(value)));
    }
    Ok(Bound(How::Host(id)))
}

fn constant_text(program: &Program) -> Option<Vec<u8>> {
    match program.eval(&Nothing, &mut Vec::new()) {
        Ok(Value::Str(text)) => Some(text.to_vec()),
        _ => None,
    }
}

// === impl Bound ===

impl Bound {
    /// Binds a condition that [`Scope::condition`] compiled.
    ///
    /// # Errors
    /// The host refuses it.
    pub fn condition(expr: Expr, host: &mut impl Host) -> Result<Self, Findings> {
        let whole = format!("(\n{}\n) ? true : false", expr.text());
        bind(expr, &whole, host)
    }

    /// Appends the value as text to `out`.
    ///
    /// # Errors
    /// When the value cannot be had for this stream; `out` is left as it was.
    pub fn write(
        &self,
        facts: &dyn Facts,
        host: &mut impl Host,
        out: &mut Vec<u8>,
    ) -> Result<(), NoValue> {
        match &self.0 {
            How::Constant(value) => out.extend_from_slice(value),
            How::Native(program) => write_native(program, facts, out)?,
            How::Host(id) => host.evaluate(*id, out).map_err(|_| NoValue::Failed)?,
        }
        Ok(())
    }

    /// Whether the condition holds. `scratch` is left as it was.
    ///
    /// # Errors
    /// When it cannot be evaluated for this stream, or is not a bool.
    pub fn holds(
        &self,
        facts: &dyn Facts,
        host: &mut impl Host,
        scratch: &mut Vec<u8>,
    ) -> Result<bool, NoValue> {
        let start = scratch.len();
        let answer = match &self.0 {
            How::Constant(value) => decode::boolean(value),
            How::Native(program) => program.test(facts, scratch).ok(),
            How::Host(id) => {
                let evaluated = host.evaluate(*id, scratch);
                evaluated.ok().and_then(|()| decode::boolean(scratch.get(start..)?))
            }
        };
        scratch.truncate(start);
        answer.ok_or(NoValue::Failed)
    }
}

/// Texts that the program builds are moved to the place of the value.
fn write_native(program: &Program, facts: &dyn Facts, out: &mut Vec<u8>) -> Result<(), NoValue> {
    let mut built = Vec::new();
    match program.eval(facts, &mut built) {
        Ok(Value::Str(text)) => {
            out.extend_from_slice(text);
            Ok(())
        }
        Ok(_) => Err(NoValue::Failed),
        Err(EvalError::Absent(slot)) if facts.is_own(slot) => Err(NoValue::NotSet),
        Err(_) => Err(NoValue::Failed),
    }
}

impl Facts for Nothing {
    fn get(&self, _slot: Slot) -> Option<Value<'_>> {
        None
    }
}
