//! Runs a [`Program`]. The rules are those of Envoy's own CEL (cel-cpp), observed on Envoy 1.40; the corpus test holds
//! them together. Nothing is allocated unless the expression builds a text.

use super::compare::{equal, order};
use super::limits::MAX_BUILT;
use super::number;
use super::program::{Arithmetic, Comparison, Const, Conversion, Op, Program, TextTest};
use super::value::{EvalError, Facts, Value};

type Outcome<'a> = Result<Item<'a>, EvalError>;

/// A value in flight: built texts are ranges of the caller's buffer, which may move while it grows.
#[derive(Clone, Copy, Debug)]
enum Item<'a> {
    Value(Value<'a>),
    /// `start..end`, and whether it is bytes.
    Built(usize, usize, bool),
}

// === impl Program ===

impl Program {
    /// The expression's value for one request. Texts made by `+` and `string()` are appended to `built`.
    ///
    /// ```
    /// use opmeter_core::expr::{Facts, Slot, Slots, Value, Vocabulary, compile};
    /// struct Request;
    /// impl Facts for Request {
    ///     fn get(&self, _: Slot) -> Option<Value<'_>> { Some(Value::Str(b"/users/7")) }
    /// }
    /// let text = "request.url_path.startsWith('/users/') ? 'users' : 'other'";
    /// let expr = compile(text, &Vocabulary::default(), &mut Slots::default());
    /// let program = expr.as_ref().ok().and_then(|expr| expr.program());
    /// let mut built = Vec::new();
    /// let value = program.map(|program| program.eval(&Request, &mut built));
    /// assert_eq!(value, Some(Ok(Value::Str(b"users"))));
    /// ```
    pub fn eval<'a>(
        &'a self,
        facts: &'a dyn Facts,
        built: &'a mut Vec<u8>,
    ) -> Result<Value<'a>, EvalError> {
        let mut run = Run { facts, limit: built.len() + MAX_BUILT, built: &mut *built };
        let item = run.op(&self.root)?;
        Ok(item.resolve(built))
    }

    /// Appends a value that is a text to `out`; anything else is an error. An error leaves `out` as it was.
    pub fn write(&self, facts: &dyn Facts, out: &mut Vec<u8>) -> Result<(), EvalError> {
        let start = out.len();
        let mut run = Run { facts, limit: start + MAX_BUILT, built: &mut *out };
        let item = run.op(&self.root);
        match item {
            // Texts built on the way lie before it.
            Ok(Item::Built(from, to, false)) => {
                out.truncate(to);
                out.drain(start..from);
                Ok(())
            }
            Ok(Item::Value(Value::Str(text))) => {
                out.truncate(start);
                out.extend_from_slice(text);
                Ok(())
            }
            other => {
                out.truncate(start);
                Err(other.err().unwrap_or(EvalError::Type))
            }
        }
    }

    /// [`Program::eval`] for a condition: a value that is not a bool is an error.
    pub fn test(&self, facts: &dyn Facts, built: &mut Vec<u8>) -> Result<bool, EvalError> {
        match self.eval(facts, built)? {
            Value::Bool(answer) => Ok(answer),
            _ => Err(EvalError::Type),
        }
    }
}

struct Run<'a, 'b> {
    facts: &'a dyn Facts,
    built: &'b mut Vec<u8>,
    limit: usize,
}

// === impl Item ===

impl<'a> Item<'a> {
    fn bool(value: bool) -> Outcome<'a> {
        Ok(Item::Value(Value::Bool(value)))
    }

    fn resolve<'s>(self, built: &'s [u8]) -> Value<'s>
    where
        'a: 's,
    {
        match self {
            Item::Value(value) => value,
            Item::Built(start, end, bytes) => {
                let text = built.get(start..end).unwrap_or(&[]);
                if bytes { Value::Bytes(text) } else { Value::Str(text) }
            }
        }
    }
}

// === impl Run ===

impl<'a> Run<'a, '_> {
    fn op(&mut self, op: &'a Op) -> Outcome<'a> {
        match op {
            Op::Const(constant) => Ok(Item::Value(constant.value())),
            Op::Read(slot) => {
                self.facts.get(*slot).map(Item::Value).ok_or(EvalError::Absent(*slot))
            }
            Op::Present(slot) => Item::bool(self.facts.get(*slot).is_some()),
            Op::Not(of) => self.test(of).and_then(|value| Item::bool(!value)),
            Op::Neg(of) => self
                .op(of)
                .and_then(|item| number::negate(item.resolve(self.built)))
                .map(Item::Value),
            Op::Compare(comparison, sides) => self.compare(*comparison, sides),
            Op::Arithmetic(operator, sides) => self.arithmetic(*operator, sides),
            Op::In(needle, elements) => self.contained(needle, elements),
            Op::InTexts(needle, texts) => match self.op(needle)?.resolve(self.built) {
                Value::Str(text) => Item::bool(texts.iter().any(|known| **known == *text)),
                _ => Item::bool(false),
            },
            Op::And(parts) => self.chain(parts, false),
            Op::Or(parts) => self.chain(parts, true),
            Op::Cond(parts) => {
                let (test, yes, no) = &**parts;
                if self.test(test)? { self.op(yes) } else { self.op(no) }
            }
            Op::Text(test, sides) => self.text_test(*test, sides),
            Op::Matches(of, regex) => match self.op(of)?.resolve(self.built) {
                Value::Str(text) => Item::bool(regex.set.first(text).is_some()),
                _ => Err(EvalError::Type),
            },
            Op::Convert(conversion, of) => self.convert(*conversion, of),
        }
    }

    fn pair(&mut self, sides: &'a (Op, Op)) -> Result<(Item<'a>, Item<'a>), EvalError> {
        Ok((self.op(&sides.0)?, self.op(&sides.1)?))
    }

    fn test(&mut self, op: &'a Op) -> Result<bool, EvalError> {
        match self.op(op)? {
            Item::Value(Value::Bool(value)) => Ok(value),
            _ => Err(EvalError::Type),
        }
    }

    /// `&&` and `||`: one operand that decides makes errors of the others vanish, on either side.
    fn chain(&mut self, parts: &'a [Op], decides: bool) -> Outcome<'a> {
        let mut error = None;
        for part in parts {
            match self.test(part) {
                Ok(value) if value == decides => return Item::bool(decides),
                Ok(_) => {}
                Err(e) => error = error.or(Some(e)),
            }
        }
        match error {
            Some(error) => Err(error),
            None => Item::bool(!decides),
        }
    }

    fn compare(&mut self, comparison: Comparison, sides: &'a (Op, Op)) -> Outcome<'a> {
        let (left, right) = self.pair(sides)?;
        let (left, right) = (left.resolve(self.built), right.resolve(self.built));
        match comparison {
            Comparison::Eq => Item::bool(equal(left, right)),
            Comparison::Ne => Item::bool(!equal(left, right)),
            _ => match order(left, right)? {
                Some(order) => Item::bool(comparison.holds(order)),
                // Not-a-number is in no order with anything.
                None => Item::bool(false),
            },
        }
    }

    fn contained(&mut self, needle: &'a Op, elements: &'a [Op]) -> Outcome<'a> {
        let needle = self.op(needle)?;
        let mut found = false;
        for element in elements {
            let element = self.op(element)?;
            found |= equal(needle.resolve(self.built), element.resolve(self.built));
        }
        Item::bool(found)
    }

    fn arithmetic(&mut self, operator: Arithmetic, sides: &'a (Op, Op)) -> Outcome<'a> {
        let (left, right) = self.pair(sides)?;
        match (left.resolve(self.built), right.resolve(self.built)) {
            (Value::Str(_), Value::Str(_)) if operator == Arithmetic::Add => {
                self.concat(left, right, false)
            }
            (Value::Bytes(_), Value::Bytes(_)) if operator == Arithmetic::Add => {
                self.concat(left, right, true)
            }
            (left, right) => number::arithmetic(operator, left, right).map(Item::Value),
        }
    }

    fn concat(&mut self, left: Item<'a>, right: Item<'a>, bytes: bool) -> Outcome<'a> {
        let start = self.built.len();
        self.append(left)?;
        self.append(right)?;
        Ok(Item::Built(start, self.built.len(), bytes))
    }

    fn append(&mut self, item: Item<'a>) -> Result<(), EvalError> {
        let len = match item {
            Item::Built(start, end, _) => end - start,
            Item::Value(Value::Str(text) | Value::Bytes(text)) => text.len(),
            Item::Value(_) => return Err(EvalError::Type),
        };
        if self.built.len() + len > self.limit {
            return Err(EvalError::TooLong);
        }
        match item {
            Item::Built(start, end, _) => self.built.extend_from_within(start..end),
            Item::Value(Value::Str(text) | Value::Bytes(text)) => {
                self.built.extend_from_slice(text)
            }
            Item::Value(_) => {}
        }
        Ok(())
    }

    fn text_test(&mut self, test: TextTest, sides: &'a (Op, Op)) -> Outcome<'a> {
        let (left, right) = self.pair(sides)?;
        let (Value::Str(text), Value::Str(part)) =
            (left.resolve(self.built), right.resolve(self.built))
        else {
            return Err(EvalError::Type);
        };
        Item::bool(test.holds(text, part))
    }

    fn convert(&mut self, conversion: Conversion, of: &'a Op) -> Outcome<'a> {
        let item = self.op(of)?;
        let value = item.resolve(self.built);
        match conversion {
            Conversion::Size => number::size(value).map(Item::Value),
            Conversion::Int => number::to_int(value).map(Item::Value),
            Conversion::Str => self.text_of(item),
        }
    }

    /// `string()`
    fn text_of(&mut self, item: Item<'a>) -> Outcome<'a> {
        let start = self.built.len();
        match item {
            Item::Value(Value::Str(_)) | Item::Built(_, _, false) => return Ok(item),
            Item::Value(Value::Bytes(_)) | Item::Built(..) => {
                let (Value::Bytes(bytes) | Value::Str(bytes)) = item.resolve(self.built) else {
                    return Err(EvalError::Type);
                };
                core::str::from_utf8(bytes).map_err(|_| EvalError::Convert)?;
                self.append(item)?;
            }
            Item::Value(value) => number::write(value, self.built)?,
        }
        Ok(Item::Built(start, self.built.len(), false))
    }
}

// === impl Const ===

impl Const {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Const::Null => Value::Null,
            Const::Bool(value) => Value::Bool(*value),
            Const::Int(value) => Value::Int(*value),
            Const::Uint(value) => Value::Uint(*value),
            Const::Double(value) => Value::Double(*value),
            Const::Str(text) => Value::Str(text),
            Const::Bytes(bytes) => Value::Bytes(bytes),
            Const::Duration(nanos) => Value::Duration(*nanos),
        }
    }
}

// === impl TextTest ===

impl TextTest {
    pub(crate) fn holds(self, text: &[u8], part: &[u8]) -> bool {
        match self {
            TextTest::StartsWith => text.starts_with(part),
            TextTest::EndsWith => text.ends_with(part),
            TextTest::Contains => {
                part.is_empty() || text.windows(part.len()).any(|window| window == part)
            }
        }
    }
}
