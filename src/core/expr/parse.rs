//! Tokens to syntax tree, by precedence climbing. After an error the parser stands in an [`Node::Error`] and goes on,
//! so one run reports every independent error.

use super::ast::{Ast, Node, Operator};
use super::lex::{Kind, Token, lex};
use super::limits::{MAX_DEPTH, MAX_PROBLEMS, MAX_TEXT};
use super::problem::{Problem, Span};

/// The syntax tree of `text`, or every syntax error, in the order of the text.
pub(super) fn parse(text: &str) -> Result<Ast, Vec<Problem>> {
    if text.len() > MAX_TEXT {
        let message = format!("expression of {} bytes, at most {MAX_TEXT} are allowed", text.len());
        return Err(vec![Problem::error(Span::new(0, 0), message)]);
    }
    let mut problems = Vec::new();
    let tokens = lex(text, &mut problems);
    let end = Token { kind: Kind::End, span: Span::new(text.len(), text.len()) };
    let mut parser = Parser {
        tokens: tokens.into_iter().peekable(),
        end,
        depth: 0,
        gave_up: false,
        last: Span::default(),
        problems,
    };
    let ast = parser.whole();
    let mut problems: Vec<Problem> = Vec::new();
    for problem in parser.problems.into_iter().take(4 * MAX_PROBLEMS) {
        let at = problems.partition_point(|known| known.span.start <= problem.span.start);
        problems.insert(at, problem);
    }
    problems.truncate(MAX_PROBLEMS);
    if problems.is_empty() { Ok(ast) } else { Err(problems) }
}

/// What is left of the tokens.
pub(super) struct Parser {
    tokens: core::iter::Peekable<std::vec::IntoIter<Token>>,
    end: Token,
    depth: usize,
    /// The rest was skipped: it has no news.
    gave_up: bool,
    /// Span of the token taken last.
    pub last: Span,
    problems: Vec<Problem>,
}

// === impl Parser ===

impl Parser {
    fn whole(&mut self) -> Ast {
        let mut ast = self.expression();
        while self.peek().kind != Kind::End {
            let Token { kind, span } = self.peek().clone();
            if kind == Kind::Bad {
                // Perhaps a mistyped operator; it is reported already.
                self.take();
                ast = self.expression();
                continue;
            }
            self.error(span, format!("expected an operator, found {}", kind.describe()));
            if matches!(kind, Kind::Punct(")" | "]" | "}" | "," | ":")) {
                self.take();
            } else {
                ast = self.expression();
            }
        }
        ast
    }

    pub fn peek(&mut self) -> &Token {
        self.tokens.peek().unwrap_or(&self.end)
    }

    pub fn take(&mut self) -> Token {
        let token = self.tokens.next().unwrap_or_else(|| self.end.clone());
        self.last = token.span;
        token
    }

    /// Takes the token if it is `punct`.
    pub fn eat(&mut self, punct: &str) -> bool {
        let found = matches!(&self.peek().kind, Kind::Punct(p) if *p == punct);
        if found {
            self.take();
        }
        found
    }

    /// Takes `punct` or reports that it is missing.
    pub fn expect(&mut self, punct: &str) {
        if !self.eat(punct) {
            let (span, found) = (self.peek().span, self.peek().kind.describe());
            self.error(span, format!("expected \"{punct}\", found {found}"));
        }
    }

    /// Reports an error, unless this place already has one: the rest of a broken token is not news.
    pub fn error(&mut self, span: Span, message: String) {
        let known = |p: &Problem| {
            p.span.start <= span.start && span.start < p.span.end.max(p.span.start + 1)
        };
        if !self.gave_up && !self.problems.iter().any(known) {
            self.problems.push(Problem::error(span, message));
        }
    }

    /// Reports that the expression is nested too deep, and skips the rest.
    fn too_deep(&mut self, span: Span) -> Ast {
        self.error(span, format!("nested deeper than {MAX_DEPTH} levels"));
        self.gave_up = true;
        while self.take().kind != Kind::End {}
        Ast::new(span, Node::Error)
    }

    /// A node, if it is not the top of too many.
    pub fn node(&mut self, span: Span, node: Node) -> Ast {
        let ast = Ast::new(span, node);
        if ast.height > MAX_DEPTH { self.too_deep(span) } else { ast }
    }

    /// Runs `inner` one level deeper, or reports that the expression is nested too deep and skips it.
    fn deeper(&mut self, inner: fn(&mut Self) -> Ast) -> Ast {
        if self.depth >= MAX_DEPTH {
            let span = self.peek().span;
            return self.too_deep(span);
        }
        self.depth += 1;
        let ast = inner(self);
        self.depth -= 1;
        ast
    }

    pub fn expression(&mut self) -> Ast {
        self.deeper(Self::conditional)
    }

    fn conditional(&mut self) -> Ast {
        let test = self.chain("||");
        if !self.eat("?") {
            return test;
        }
        let yes = self.chain("||");
        self.expect(":");
        let no = self.expression();
        self.node(test.span.to(no.span), Node::Cond(test, yes, no))
    }

    /// A chain of `||` over chains of `&&` over the other operators.
    fn chain(&mut self, joint: &str) -> Ast {
        let first = self.chain_part(joint);
        let mut parts = vec![first];
        while self.eat(joint) {
            let part = self.chain_part(joint);
            parts.push(part);
        }
        let span = parts
            .iter()
            .fold(parts.first().map_or(self.last, |p| p.span), |span, part| span.to(part.span));
        match (parts.len(), joint) {
            (1, _) => parts.remove(0),
            (_, "||") => self.node(span, Node::Or(parts)),
            _ => self.node(span, Node::And(parts)),
        }
    }

    fn chain_part(&mut self, joint: &str) -> Ast {
        if joint == "||" { self.chain("&&") } else { self.binary(1) }
    }

    /// Operators that bind at least as tightly as `min`, left to right.
    fn binary(&mut self, min: u8) -> Ast {
        let mut left = self.unary();
        while let Some((operator, power)) = self.operator().filter(|(_, power)| *power >= min) {
            self.take();
            let right = self.binary(power + 1);
            left = self.node(left.span.to(right.span), Node::Binary(operator, left, right));
        }
        left
    }

    fn operator(&mut self) -> Option<(Operator, u8)> {
        match &self.peek().kind {
            Kind::Punct(p) => Operator::of(p),
            Kind::Ident(name) if name == "in" => Operator::of("in"),
            _ => None,
        }
    }

    fn unary(&mut self) -> Ast {
        let start = self.peek().span;
        if self.eat("!") {
            let of = self.deeper(Self::unary);
            return self.node(start.to(of.span), Node::Not(of));
        }
        if !self.eat("-") {
            return self.member(false);
        }
        if matches!(self.peek().kind, Kind::Int(_) | Kind::Double(_)) {
            let mut literal = self.member(true);
            literal.span = literal.span.to(start);
            return literal;
        }
        let of = self.deeper(Self::unary);
        self.node(start.to(of.span), Node::Neg(of))
    }
}
