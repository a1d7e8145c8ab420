//! Functions: the native ones, and the names of those left to the host.

use super::ast::{Ast, Node};
use super::check::{Checker, Lowered, Type};
use super::problem::{Span, hint};
use super::program::{Const, Conversion, Op, Regex, TextTest};
use super::regex::{Refused, RegexSet};

/// Functions of Envoy's CEL besides the native ones.
const HOST: [&str; 22] = [
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

/// Macros over a list or map; the first argument names the variable.
const COMPREHENSIONS: [&str; 5] = ["all", "exists", "exists_one", "filter", "map"];

const NATIVE: [&str; 4] = ["startsWith", "endsWith", "contains", "matches"];

// === impl Checker ===

impl Checker<'_> {
    pub fn call(&mut self, span: Span, target: Option<&Ast>, name: &str, args: &[Ast]) -> Lowered {
        let mut operands = target.into_iter().chain(args);
        match (name, operands.next(), operands.next(), operands.next()) {
            ("startsWith", Some(of), Some(part), None) => {
                self.text_test(TextTest::StartsWith, of, part)
            }
            ("endsWith", Some(of), Some(part), None) => {
                self.text_test(TextTest::EndsWith, of, part)
            }
            ("contains", Some(of), Some(part), None) => {
                self.text_test(TextTest::Contains, of, part)
            }
            ("matches", Some(of), Some(pattern), None) => self.matches(span, of, pattern),
            ("size", Some(of), None, None) => self.convert(span, Conversion::Size, "size", of),
            ("string", Some(of), None, None) if target.is_none() => {
                self.convert(span, Conversion::Str, name, of)
            }
            ("int", Some(of), None, None) if target.is_none() => {
                self.convert(span, Conversion::Int, name, of)
            }
            ("duration", Some(of), None, None) if target.is_none() => self.duration(span, of),
            _ => self.host_call(span, target, name, args),
        }
    }

    fn host_call(&mut self, span: Span, target: Option<&Ast>, name: &str, args: &[Ast]) -> Lowered {
        if let (true, Some(of), Some(variable)) =
            (COMPREHENSIONS.contains(&name), target, args.first())
        {
            return self.comprehension(span, name, of, variable, args);
        }
        let dotted = target.and_then(Ast::dotted).map(|prefix| format!("{prefix}.{name}"));
        let known = HOST.iter().chain(&NATIVE).chain(&COMPREHENSIONS);
        if !known.clone().any(|function| *function == name) {
            let nearest = hint(name, known.copied());
            let shown = dotted.filter(|_| nearest.is_empty()).unwrap_or(name.into());
            self.warn(span, format!("unknown function \"{shown}\"{nearest}"));
        }
        self.host::<()>(span, || format!("calls {name}()"));
        for operand in target.into_iter().chain(args) {
            self.lower(operand);
        }
        None
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
            for arg in args.iter().skip(1) {
                self.lower(arg);
            }
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
            return self.visit(span, "matches a computed pattern", [pattern].into_iter());
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

    fn convert(&mut self, span: Span, conversion: Conversion, name: &str, of: &Ast) -> Lowered {
        let lowered = self.lower(of);
        self.converted(span, conversion, name, lowered)
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
            _ => self.visit(span, "calls duration() of a computed text", [of].into_iter()),
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
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut nanos = whole.parse::<i64>().ok()?.checked_mul(scale)?;
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
