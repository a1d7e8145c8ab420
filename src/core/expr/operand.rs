//! Operands of the grammar: literals, names, selections, calls, lists, maps and messages.

use super::ast::{Ast, Node};
use super::lex::{Kind, Token};
use super::limits::MAX_ELEMENTS;
use super::parse::Parser;
use super::problem::Span;

/// Words CEL keeps for host languages; they may name a field, never a variable.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

// === impl Parser ===

impl Parser {
    /// A primary and its `.field`, `.method()`, `[index]` and `{fields}`.
    pub fn member(&mut self, negative: bool) -> Ast {
        let mut of = self.primary(negative);
        loop {
            let span = of.span;
            of = if self.eat(".") {
                self.selection(of)
            } else if self.eat("[") {
                let index = self.expression();
                self.expect("]");
                self.node(span.to(self.last), Node::Index(of, index))
            } else if matches!(self.peek().kind, Kind::Punct("{")) && of.dotted().is_some() {
                self.message(span)
            } else {
                return of;
            };
        }
    }

    fn selection(&mut self, of: Ast) -> Ast {
        let (span, found) = (self.peek().span, self.peek().kind.describe());
        let name = match &self.peek().kind {
            Kind::Ident(name) if name != "in" && !is_literal(name) => name.clone(),
            _ => {
                self.error(span, format!("expected a field or function name, found {found}"));
                if matches!(self.peek().kind, Kind::Ident(_)) {
                    self.take();
                }
                return Ast::new(of.span, Node::Error);
            }
        };
        self.take();
        if !self.eat("(") {
            return self.node(of.span.to(self.last), Node::Select(of, name));
        }
        let args = self.elements(")");
        self.node(of.span.to(self.last), Node::Call(Some(of), name, args))
    }

    fn primary(&mut self, negative: bool) -> Ast {
        let span = self.peek().span;
        if matches!(self.peek().kind, Kind::Punct(")" | "]" | "}" | "," | ":" | "?") | Kind::End) {
            let found = self.peek().kind.clone();
            return self.missing_operand(span, &found);
        }
        let token = self.take();
        let node = match token.kind {
            Kind::Int(value) => self.int(span, value, negative),
            Kind::Uint(Some(value)) => Node::Uint(value),
            Kind::Uint(None) => self.refused(span, "number does not fit uint (64 bit)"),
            Kind::Double(value) => Node::Double(value.map(|v| if negative { -v } else { v })),
            Kind::Str(text) => Node::Str(text),
            Kind::Bytes(bytes) => Node::Bytes(bytes),
            Kind::Ident(name) => return self.name(span, name),
            Kind::Punct("(") => {
                let inner = self.expression();
                self.expect(")");
                return Ast::new(span.to(self.last), *inner.node);
            }
            Kind::Punct("[") => Node::List(self.elements("]")),
            Kind::Punct("{") => Node::Map(self.entries()),
            Kind::Punct(".") => return self.absolute(span),
            Kind::Punct(symbol) => return self.missing_operand(span, &Kind::Punct(symbol)),
            Kind::Bad | Kind::End => Node::Error,
        };
        Ast::new(span.to(self.last), node)
    }

    fn missing_operand(&mut self, span: Span, found: &Kind) -> Ast {
        self.error(span, format!("expected an expression, found {}", found.describe()));
        Ast::new(span, Node::Error)
    }

    fn refused(&mut self, span: Span, message: &str) -> Node {
        self.error(span, message.into());
        Node::Error
    }

    fn int(&mut self, span: Span, value: Option<u64>, negative: bool) -> Node {
        let signed = match (value, negative) {
            (Some(value), false) => i64::try_from(value).ok(),
            (Some(value), true) => 0_i64.checked_sub_unsigned(value),
            (None, _) => None,
        };
        match signed {
            Some(value) => Node::Int(value),
            None => self.refused(span, "number does not fit int (64 bit)"),
        }
    }

    /// `.name`: a name from the root. CEL in Envoy has no containers, so it is the same name, left to the host.
    fn absolute(&mut self, span: Span) -> Ast {
        match self.take() {
            Token { kind: Kind::Ident(name), span: end } if !is_literal(&name) => {
                let mut ast = self.name(end, name);
                ast.span = ast.span.to(span);
                ast
            }
            other => {
                self.error(other.span, format!("expected a name, found {}", other.kind.describe()));
                Ast::new(span, Node::Error)
            }
        }
    }

    fn name(&mut self, span: Span, name: String) -> Ast {
        match name.as_str() {
            "true" => return Ast::new(span, Node::Bool(true)),
            "false" => return Ast::new(span, Node::Bool(false)),
            "null" => return Ast::new(span, Node::Null),
            "in" => return self.missing_operand(span, &Kind::Ident(name)),
            word if RESERVED.contains(&word) => {
                let node = self.refused(span, &format!("\"{word}\" is a reserved word"));
                return Ast::new(span, node);
            }
            _ => {}
        }
        if !self.eat("(") {
            return Ast::new(span, Node::Ident(name));
        }
        let args = self.elements(")");
        let span = span.to(self.last);
        if name == "has" {
            self.has(span, args)
        } else {
            self.node(span, Node::Call(None, name, args))
        }
    }

    fn has(&mut self, span: Span, mut args: Vec<Ast>) -> Ast {
        let node = match (args.pop().map(|a| *a.node), args.is_empty()) {
            (Some(Node::Select(of, field)), true) => Node::Has(of, field),
            (Some(Node::Error), _) => Node::Error,
            _ => {
                self.refused(span, "has() takes one field selection, such as has(request.referer)")
            }
        };
        Ast::new(span, node)
    }

    /// Comma-separated expressions up to `close`; one trailing comma is allowed in lists.
    fn elements(&mut self, close: &'static str) -> Vec<Ast> {
        let mut elements = Vec::new();
        while !self.closes(close) {
            elements.push(self.expression());
            if !self.next_element(close, elements.len()) {
                break;
            }
            if close == ")" && matches!(self.peek().kind, Kind::Punct(")")) {
                let Token { kind, span } = self.peek().clone();
                self.missing_operand(span, &kind);
            }
        }
        self.expect(close);
        elements
    }

    fn entries(&mut self) -> Vec<(Ast, Ast)> {
        let mut entries = Vec::new();
        while !self.closes("}") {
            let key = self.expression();
            self.expect(":");
            let value = self.expression();
            entries.push((key, value));
            if !self.next_element("}", entries.len()) {
                break;
            }
        }
        self.expect("}");
        entries
    }

    fn message(&mut self, start: Span) -> Ast {
        self.take();
        let values = self.entries().into_iter().map(|(_, value)| value).collect();
        self.node(start.to(self.last), Node::Message(values))
    }

    fn closes(&mut self, close: &str) -> bool {
        matches!(&self.peek().kind, Kind::Punct(p) if *p == close) || self.peek().kind == Kind::End
    }

    /// Whether another element follows; skips to the next comma or the end of the list after an error.
    fn next_element(&mut self, close: &str, count: usize) -> bool {
        if count > MAX_ELEMENTS {
            let span = self.last;
            self.error(span, format!("more than {MAX_ELEMENTS} elements"));
            return false;
        }
        if self.eat(",") {
            return true;
        }
        if self.closes(close) {
            return false;
        }
        let (span, found) = (self.peek().span, self.peek().kind.describe());
        self.error(span, format!("expected \",\" or \"{close}\", found {found}"));
        while !self.closes(close) && !matches!(self.peek().kind, Kind::Punct(",")) {
            self.take();
        }
        self.eat(",")
    }
}

fn is_literal(name: &str) -> bool {
    matches!(name, "true" | "false" | "null")
}
