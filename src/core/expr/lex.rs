//! Text to tokens. Lexical rules of the CEL language definition; a bad token is a [`Problem`] and lexing goes on.

use super::literal;
use super::problem::{Problem, Span};

/// A token's kind and payload.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Operator or punctuation, such as `&&` or `(`.
    Punct(&'static str),
    Ident(String),
    /// Magnitude; the parser knows the sign. `None`: more than 64 bits.
    Int(Option<u64>),
    Uint(Option<u64>),
    /// `None`: not exactly computable with one multiplication or division, see [`literal::double`].
    Double(Option<f64>),
    Str(String),
    Bytes(Vec<u8>),
    /// A token already reported; stands for any operand.
    Bad,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub kind: Kind,
    pub span: Span,
}

/// Longest first, so that `<=` is not read as `<` and `=`.
const PUNCT: [&str; 27] = [
    "&&", "||", "==", "!=", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "!", "<",
    ">", "+", "-", "*", "/", "%", "=", "&", "|",
];

/// All tokens of `text`, closed by [`Kind::End`].
pub(super) fn lex(text: &str, problems: &mut Vec<Problem>) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blank(text, at);
        let rest = text.get(at..).unwrap_or("");
        if rest.is_empty() {
            tokens.push(Token { kind: Kind::End, span: Span::new(text.len(), text.len()) });
            return tokens;
        }
        let (kind, len) = token(rest, at, problems);
        let span = Span::new(at, at + len);
        tokens.push(Token { kind, span });
        at += len;
    }
}

fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or("");
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']).len();
        at += blank;
        if !rest.get(blank..).is_some_and(|r| r.starts_with("//")) {
            return at;
        }
        at += text.get(at..).and_then(|r| r.find('\n')).unwrap_or(text.len() - at);
    }
}

/// The token at the start of `rest`, which is not empty, and its length.
fn token(rest: &str, at: usize, problems: &mut Vec<Problem>) -> (Kind, usize) {
    if let Some((kind, len)) = literal::quoted(rest, at, problems) {
        return (kind, len);
    }
    let first = rest.bytes().next().unwrap_or(0);
    let second = rest.as_bytes().get(1).copied().unwrap_or(0);
    if first.is_ascii_digit() || (first == b'.' && second.is_ascii_digit()) {
        return literal::number(rest);
    }
    if first == b'_' || first.is_ascii_alphabetic() {
        let len = rest.bytes().take_while(|b| *b == b'_' || b.is_ascii_alphanumeric()).count();
        return (Kind::Ident(rest.get(..len).unwrap_or("").into()), len);
    }
    match PUNCT.iter().find(|p| rest.starts_with(**p)) {
        Some(p @ (&"=" | &"&" | &"|")) => {
            let twice = format!("{p}{p}");
            problems.push(Problem::error(
                Span::new(at, at + 1),
                format!("unexpected \"{p}\" (did you mean \"{twice}\"?)"),
            ));
            let meant = PUNCT.iter().find(|k| **k == twice).copied().unwrap_or("==");
            (Kind::Punct(meant), 1)
        }
        Some(p) => (Kind::Punct(p), p.len()),
        None => {
            let c = rest.chars().next().unwrap_or(' ');
            let span = Span::new(at, at + c.len_utf8());
            problems.push(Problem::error(span, format!("unexpected character \"{c}\"")));
            (Kind::Bad, c.len_utf8())
        }
    }
}

impl Kind {
    /// As a message names the token.
    pub fn describe(&self) -> String {
        match self {
            Kind::Punct(p) => format!("\"{p}\""),
            Kind::Ident(name) => format!("\"{name}\""),
            Kind::Int(_) | Kind::Uint(_) | Kind::Double(_) => "a number".into(),
            Kind::Str(_) => "a string".into(),
            Kind::Bytes(_) => "bytes".into(),
            Kind::Bad => "an invalid token".into(),
            Kind::End => "end of expression".into(),
        }
    }
}
