//! Functions: the native ones, and the names of those left to the host.

use super::ast::{Ast, Node};
use super::check::{Checker, Lowered, Type};
use super::literal::magnitude;
use super::problem::{Nearest, Problem, Span};
use super::program::{Const, Conversion, Op, Regex, TextTest};
use super::regex::{Refused, RegexSet};
use crate::text::cut;

/// Functions of Envoy's CEL, the macros over a list or map first.
const FUNCTIONS: [&str; 31] = [
    "all",
    "exists",
    "exists_one",
    "filter",
    "map",
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "bool",
    "bytes",
    "double",
    "duration",
    "dyn",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "timestamp",
    "type",
    "uint",
    "int",
    "size",
    "string",
    "has",
];

/// How many of them are macros; their first argument names the variable.
const COMPREHENSIONS: usize = 5;

// === impl Checker ===

impl Checker<'_> {
    pub fn call(&mut self, span: Span, target: Option<&Ast>, name: &str, args: &[Ast]) -> Lowered {
        let function = target.is_none();
        match (target, args) {
            (None, [of, part]) | (Some(of), [part]) => {
                let test = match name {
                    "startsWith" => TextTest::StartsWith,
                    "endsWith" => TextTest::EndsWith,
                    "contains" => TextTest::Contains,
                    "matches" => return self.matches(span, of, part),
                    _ => return self.host_call(span, target, name, args),
                };
                self.text_test(test, of, part)
            }
            (None, [of]) | (Some(of), []) => {
                let conversion = match name {
                    "size" => Conversion::Size,
                    "string" if function => Conversion::Str,
                    "int" if function => Conversion::Int,
                    "duration" if function => return self.duration(span, of),
                    _ => return self.host_call(span, target, name, args),
                };
                let lowered = self.lower(of);
                self.converted(span, conversion, name, lowered)
            }
            _ => self.host_call(span, target, name, args),
        }
    }

    fn host_call(&mut self, span: Span, target: Option<&Ast>, name: &str, args: &[Ast]) -> Lowered {
        let known = FUNCTIONS.iter().position(|function| *function == name);
        let comprehension = known.is_some_and(|at| at < COMPREHENSIONS);
        if let (true, Some(of), Some(variable)) = (comprehension, target, args.first()) {
            return self.comprehension(span, name, of, variable, args);
        }
        let dotted = target.and_then(Ast::dotted).map(|prefix| format!("{prefix}.{name}"));
        if known.is_none() {
            let mut nearest = Nearest::to(name);
            FUNCTIONS.iter().for_each(|function| nearest.offer(function));
            let nearest = nearest.hint();
            let shown = dotted.filter(|_| nearest.is_empty()).unwrap_or(name.into());
            self.warn(span, format!("unknown function \"{shown}\"{nearest}"));
        }
        self.host::<()>(span, || format!("calls {name}()"));
        if let Some(target) = target {
            self.lower(target);
        }
        self.visit_all(args)
    }

    fn comprehension(
        &mut self,
        span: Span,
        name: &str,
        of: &Ast,
        variable: &Ast,
        args: &[Ast],
    ) -> Lowered {
        self.host::<()>(span, || format!("calls {name}()"));
        self.lower(of);
        if let Node::Ident(variable) = &*variable.node {
            self.bound.push(variable.clone());
            self.visit_all(args.get(1..).unwrap_or(&[]));
            self.bound.pop();
        }
        None
    }

    fn text_test(&mut self, test: TextTest, of: &Ast, part: &Ast) -> Lowered {
        let (of, part) = (self.text(of), self.text(part));
        Some((Op::Text(test, Box::new((of?, part?))), Type::Bool))
    }

    fn text(&mut self, ast: &Ast) -> Option<Op> {
        let (op, kind) = self.lower(ast)?;
        if !matches!(kind, Type::Str | Type::Dyn) {
            self.doubt(ast.span, || format!("a string is needed, found {}", kind.name()));
        }
        Some(op)
    }

    fn matches(&mut self, span: Span, of: &Ast, pattern: &Ast) -> Lowered {
        let of = self.text(of);
        let Node::Str(text) = &*pattern.node else {
            return self.visit_each(span, "matches a computed pattern", &[pattern]);
        };
        let set = match RegexSet::new([text.as_str()]) {
            Ok(set) => set,
            Err((_, Refused::Invalid(why))) => {
                self.warn(pattern.span, format!("invalid regular expression: {why}"));
                return self.host(pattern.span, || "has an invalid regular expression".to_owned());
            }
            Err((_, Refused::Unsupported(what))) => {
                return self.host(pattern.span, || {
                    format!("has a regular expression only the host knows: {what}")
                });
            }
        };
        let regex = Regex { pattern: text.as_str().into(), set };
        Some((Op::Matches(Box::new(of?), Box::new(regex)), Type::Bool))
    }

    /// `conversion` of an operand.
    pub fn converted(
        &mut self,
        span: Span,
        conversion: Conversion,
        name: &str,
        of: Lowered,
    ) -> Lowered {
        let (op, kind) = of?;
        if conversion == Conversion::Str && kind == Type::Str {
            return Some((op, kind));
        }
        if conversion == Conversion::Int && kind == Type::Duration {
            let message = "int() takes no duration; without int() it is text such as 1.500s, and as an amount milliseconds";
            self.failing.get_or_insert_with(|| Problem::warning(span, message));
        }
        let native = match conversion {
            Conversion::Size => matches!(kind, Type::Str | Type::Bytes),
            Conversion::Str => !matches!(kind, Type::Double | Type::Timestamp | Type::Dyn),
            Conversion::Int => !matches!(kind, Type::Timestamp | Type::Dyn),
        };
        if !native {
            return self.host(span, || format!("calls {name}() of {}", kind.name()));
        }
        let kind = if conversion == Conversion::Str { Type::Str } else { Type::Int };
        Some((Op::Convert(conversion, Box::new(op)), kind))
    }

    fn duration(&mut self, span: Span, of: &Ast) -> Lowered {
        match &*of.node {
            Node::Str(text) => match nanoseconds(text) {
                Some(nanos) => Some((Op::Const(Const::Duration(nanos)), Type::Duration)),
                None => self.host(span, || "calls duration() with an unusual text".to_owned()),
            },
            _ => self.visit_each(span, "calls duration() of a computed text", &[of]),
        }
    }
}

/// `1h30m`, `1.5s`, `-250ms`: numbers with at most nine decimals, each with a unit.
fn nanoseconds(text: &str) -> Option<i64> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut total = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number =
            rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (digits, tail) = rest.split_at_checked(number)?;
        let unit = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let (unit, tail) = tail.split_at_checked(unit)?;
        total = total.checked_add(part(digits, unit)?)?;
        rest = tail;
    }
    Some(sign * total)
}

fn part(digits: &str, unit: &str) -> Option<i64> {
    let scale: i64 = match unit {
        "h" => 3_600_000_000_000,
        "m" => 60_000_000_000,
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" => 1_000,
        "ns" => 1,
        _ => return None,
    };
    let (whole, fraction) = cut(digits, ".").unwrap_or((digits, ""));
    let mut nanos = i64::try_from(magnitude(whole, 10)?).ok()?.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.chars() {
        if place % 10 != 0 {
            return None;
        }
        place /= 10;
        nanos = nanos.checked_add(i64::from(digit.to_digit(10)?) * place)?;
    }
    Some(nanos)
}
