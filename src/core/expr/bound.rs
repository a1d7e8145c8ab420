//! Expressions bound to the proxy they are evaluated in: the only place that decides where that happens.

use super::amount;
use super::peer::with_published_peers;
use super::{
    Class, EvalError, Expr, Facts, PeersRead, Problem, Program, Slot, Slots, Value, Vocabulary,
    compile, compile_text,
};
use crate::attribute::decode;
use crate::port::{ExprId, Host};

/// An expression that can be evaluated for a stream.
#[derive(Debug)]
pub struct Bound {
    how: How,
    reads: Vec<Slot>,
}

#[derive(Debug)]
enum How {
    /// Known while configuring.
    Constant(Vec<u8>),
    /// Evaluated here, over values already fetched.
    Native(Program),
    /// Evaluated by the host for each stream, for which these peers have to be published.
    Host(ExprId, PeersRead),
}

/// Why an expression has no value for this stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoValue {
    /// The stream does not have what is read: a header, an operation, a response. That is an ordinary stream, not an error.
    NotSet,
    /// A type does not fit, a number is out of range, or the host cannot evaluate it, for whatever reason.
    Failed,
}

/// What expressions of one phase may name, and everything they read.
#[derive(Debug)]
pub struct Scope<'n> {
    /// Derived attributes by name.
    pub derived: &'n [String],
    /// Whether peers may be known by this module's own exchange.
    pub exchange: bool,
    /// What the expressions read.
    pub slots: Slots,
    /// Whether the host's `string()` takes a bool; asked for when the first expression is the host's.
    writes_bools: Option<bool>,
}

/// Findings about an expression, each `LINE:COLUMN: message`, or what the proxy says of it.
pub type Findings = Vec<String>;

/// In what form the host has to give a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    /// A bool; anything else is an error.
    Condition,
}

/// No stream yet.
struct Nothing;

/// Around an expression, as text in an Envoy whose `string()` takes no bool: before 1.37.
const BOOL_OR_TEXT: [&str; 4] =
    ["type(\n", "\n) == bool ? ((\n", "\n) ? 'true' : 'false') : string(\n", "\n)"];

// === impl Scope ===

impl<'n> Scope<'n> {
    /// A scope in which nothing is read yet.
    pub fn new(derived: &'n [String], exchange: bool) -> Self {
        Self { derived, exchange, slots: Slots::default(), writes_bools: None }
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
        let vocabulary = Vocabulary { derived: self.derived };
        let expr = compile_text(text, &vocabulary, &mut self.slots);
        let expr = expr.map_err(|problems| told(&problems, text))?;
        self.bind(expr, Form::Text, host)
    }

    /// Why an expression can never have an amount, see [`super::amount`].
    pub fn no_amount(&self, text: &str) -> Findings {
        told(&amount::problems(text, &Vocabulary { derived: self.derived }), text)
    }

    /// Compiles a condition, which is bound with [`Scope::bind_condition`].
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn condition(&mut self, text: &str) -> Result<Expr, Findings> {
        let vocabulary = Vocabulary { derived: self.derived };
        compile(text, &vocabulary, &mut self.slots).map_err(|problems| told(&problems, text))
    }

    /// Binds a condition that [`Scope::condition`] compiled; also what is doubtful about it.
    ///
    /// # Errors
    /// The host refuses it.
    pub fn bind_condition(
        &mut self,
        expr: Expr,
        host: &mut impl Host,
    ) -> Result<(Bound, Findings), Findings> {
        self.bind(expr, Form::Condition, host)
    }

    /// The host is given the expression inside another one. Having been parsed here, it cannot break out of it.
    fn bind(
        &mut self,
        expr: Expr,
        form: Form,
        host: &mut impl Host,
    ) -> Result<(Bound, Findings), Findings> {
        let Expr { text, class, program, reads, warnings, .. } = expr;
        let doubts = told(&warnings, &text);
        let constant = class == Class::Constant;
        let how = match program {
            Some(program) => {
                let text = constant && form == Form::Text;
                let value = if text { constant_text(&program) } else { None };
                value.map_or(How::Native(program), How::Constant)
            }
            None => {
                let (inner, peers) = match self.exchange {
                    true => with_published_peers(&text),
                    false => (String::from(&*text), PeersRead::default()),
                };
                let ([start, test, value, end], tested) = match form {
                    Form::Text if !*self.writes_bools.get_or_insert_with(|| writes_bools(host)) => {
                        (BOOL_OR_TEXT, &*inner)
                    }
                    Form::Text => (["string(\n", "", "", "\n)"], ""),
                    Form::Condition => (["(\n", "", "", "\n) ? true : false"], ""),
                };
                let whole = [start, tested, test, tested, value, &inner, end].concat();
                match host.compile(&whole) {
                    Ok(id) => on_host(id, peers, constant, host),
                    Err(_) if doubts.is_empty() => {
                        return Err(vec![["expression does not compile: ", &text].concat()]);
                    }
                    Err(_) => return Err(doubts),
                }
            }
        };
        Ok((Bound { how, reads }, doubts))
    }
}

/// Whether `string()` takes a bool.
fn writes_bools(host: &mut impl Host) -> bool {
    let probe = host.compile("string(true)");
    probe.is_ok_and(|probe| host.evaluate(probe, &mut Vec::new()).is_ok())
}

/// What does not vary is evaluated once, if the host can do so without a stream.
fn on_host(id: ExprId, peers: PeersRead, constant: bool, host: &mut impl Host) -> How {
    let mut value = Vec::new();
    if constant && host.evaluate(id, &mut value).is_ok() {
        return How::Constant(value);
    }
    How::Host(id, peers)
}

fn told(problems: &[Problem], text: &str) -> Findings {
    problems.iter().map(|problem| problem.line(text)).collect()
}

fn constant_text(program: &Program) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    program.write(&Nothing, &mut value).ok().map(|()| value)
}

// === impl Bound ===

impl Bound {
    /// What it reads of what is fetched, each once.
    pub fn reads(&self) -> &[Slot] {
        &self.reads
    }

    /// The peers that have to be published before it is evaluated.
    pub fn publishes(&self) -> PeersRead {
        match self.how {
            How::Host(_, peers) => peers,
            How::Constant(_) | How::Native(_) => PeersRead::default(),
        }
    }

    /// Whether the host evaluates it, which it can only while a callback of the stream runs.
    pub fn is_of_host(&self) -> bool {
        matches!(self.how, How::Host(..))
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
        match &self.how {
            How::Constant(value) => out.extend_from_slice(value),
            How::Native(program) => {
                program.write(facts, out).map_err(NoValue::of)?;
            }
            How::Host(id, _) => host.evaluate(*id, out).map_err(|_| NoValue::Failed)?,
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
        let answer = match &self.how {
            How::Constant(value) => decode::boolean(value).ok_or(NoValue::Failed),
            How::Native(program) => program.test(facts, scratch).map_err(NoValue::of),
            How::Host(id, _) => {
                let evaluated = host.evaluate(*id, scratch);
                let answer = evaluated.ok().and_then(|()| decode::boolean(scratch.get(start..)?));
                answer.ok_or(NoValue::Failed)
            }
        };
        scratch.truncate(start);
        answer
    }
}

// === impl NoValue ===

impl NoValue {
    fn of(error: EvalError) -> Self {
        match error {
            EvalError::Absent(_) => NoValue::NotSet,
            _ => NoValue::Failed,
        }
    }
}

impl Facts for Nothing {
    fn get(&self, _slot: Slot) -> Option<Value<'_>> {
        None
    }
}
