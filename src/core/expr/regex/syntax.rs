//! Pattern text to syntax tree, after RE2's syntax page. Laziness and captures do not change whether a text matches,
//! so they are read and dropped.

use super::Refused;
use super::class::Class;
use crate::expr::limits::{MAX_REGEX_DEPTH, MAX_REGEX_REPEAT};

/// A pattern's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Empty,
    Class(Class),
    /// Beginning of the text.
    Start,
    /// End of the text.
    End,
    Concat(Vec<Tree>),
    Alternate(Vec<Tree>),
    /// At least, at most.
    Repeat(Box<Tree>, u32, Option<u32>),
}

type Parsed<T> = Result<T, Refused>;

pub(super) fn parse(pattern: &str) -> Parsed<Tree> {
    let mut parser = Parser { rest: pattern, depth: 0, fold: false, dot_newline: false };
    let tree = parser.alternate()?;
    match parser.rest {
        "" => Ok(tree),
        _ => Err(Refused::Invalid("unexpected \")\"")),
    }
}

struct Parser<'p> {
    rest: &'p str,
    depth: usize,
    /// `(?i)`
    fold: bool,
    /// `(?s)`
    dot_newline: bool,
}

// === impl Parser ===

impl<'p> Parser<'p> {
    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn alternate(&mut self) -> Parsed<Tree> {
        let mut branches = vec![self.concat()?];
        while self.eat("|") {
            branches.push(self.concat()?);
        }
        Ok(if branches.len() == 1 {
            branches.pop().unwrap_or(Tree::Empty)
        } else {
            Tree::Alternate(branches)
        })
    }

    fn concat(&mut self) -> Parsed<Tree> {
        let mut parts = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            if self.eat("\\Q") {
                let (quoted, rest) = crate::text::cut(self.rest, "\\E").unwrap_or((self.rest, ""));
                self.rest = rest;
                for c in quoted.chars() {
                    parts.push(self.literal(c)?);
                }
                continue;
            }
            let atom = self.atom()?;
            parts.push(self.repetition(atom)?);
        }
        Ok(if parts.len() == 1 { parts.pop().unwrap_or(Tree::Empty) } else { Tree::Concat(parts) })
    }

    fn repetition(&mut self, atom: Tree) -> Parsed<Tree> {
        let Some((min, max)) = self.quantifier()? else {
            return Ok(atom);
        };
        self.eat("?");
        if self.quantifier()?.is_some() {
            return Err(Refused::Unsupported("stacked repetition"));
        }
        Ok(Tree::Repeat(Box::new(atom), min, max))
    }

    fn quantifier(&mut self) -> Parsed<Option<(u32, Option<u32>)>> {
        let simple = [("*", 0, None), ("+", 1, None), ("?", 0, Some(1))];
        for (symbol, min, max) in simple {
            if self.eat(symbol) {
                return Ok(Some((min, max)));
            }
        }
        let Some((counts, rest)) = self.rest.strip_prefix('{').and_then(|r| r.split_once('}'))
        else {
            return Ok(None);
        };
        let (min, max) = match counts.split_once(',') {
            None => (number(counts), number(counts).map(Some)),
            Some((min, "")) => (number(min), Some(None)),
            Some((min, max)) => (number(min), number(max).map(Some)),
        };
        // Anything else after a brace is a literal brace.
        let (Some(min), Some(max)) = (min, max) else {
            return Ok(None);
        };
        if min.max(max.unwrap_or(0)) > MAX_REGEX_REPEAT || max.is_some_and(|max| max < min) {
            return Err(Refused::Invalid("invalid repetition size"));
        }
        self.rest = rest;
        Ok(Some((min, max)))
    }

    fn atom(&mut self) -> Parsed<Tree> {
        match self.next() {
            Some('(') => self.group(),
            Some('[') => self.bracket(),
            Some('.') => Ok(Tree::Class(if self.dot_newline {
                Class::any()
            } else {
                Class::one('\n').negated()
            })),
            Some('^') => Ok(Tree::Start),
            Some('$') => Ok(Tree::End),
            Some('\\') => self.escape(),
            Some('*' | '+' | '?') => {
                Err(Refused::Invalid("repetition operator without an operand"))
            }
            Some(c) => self.literal(c),
            None => Ok(Tree::Empty),
        }
    }

    fn literal(&self, c: char) -> Parsed<Tree> {
        self.class(Class::one(c), false)
    }

    /// A class with the case rule in force; folding comes before negation.
    fn class(&self, class: Class, negate: bool) -> Parsed<Tree> {
        let class = match self.fold {
            true => class.folded().ok_or(Refused::Unsupported("(?i) beyond ASCII"))?,
            false => class,
        };
        Ok(Tree::Class(if negate { class.negated() } else { class.normal() }))
    }

    fn group(&mut self) -> Parsed<Tree> {
        let outer = (self.fold, self.dot_newline);
        if self.eat("?") && !self.flags_or_name()? {
            return Ok(Tree::Empty);
        }
        self.depth += 1;
        if self.depth > MAX_REGEX_DEPTH {
            return Err(Refused::Unsupported("groups nested too deep"));
        }
        let tree = self.alternate()?;
        self.depth -= 1;
        (self.fold, self.dot_newline) = outer;
        match self.eat(")") {
            true => Ok(tree),
            false => Err(Refused::Invalid("missing \")\"")),
        }
    }

    /// Reads what follows `(?`; false if that was the whole group, as in `(?i)`.
    fn flags_or_name(&mut self) -> Parsed<bool> {
        if self.eat("P<") || self.eat("<") {
            let (name, rest) =
                self.rest.split_once('>').ok_or(Refused::Invalid("invalid group name"))?;
            self.rest = rest;
            let word =
                !name.is_empty() && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric());
            return if word { Ok(true) } else { Err(Refused::Unsupported("group name")) };
        }
        let mut on = true;
        loop {
            match self.next() {
                Some('i') => self.fold = on,
                Some('s') => self.dot_newline = on,
                Some('U') => {}
                Some('m') => return Err(Refused::Unsupported("(?m)")),
                Some('-') if on => on = false,
                Some(':') => return Ok(true),
                Some(')') => return Ok(false),
                _ => return Err(Refused::Invalid("invalid group")),
            }
        }
    }

    fn escape(&mut self) -> Parsed<Tree> {
        match self.rest.chars().next() {
            Some('A') => self.look(Tree::Start),
            Some('z') => self.look(Tree::End),
            Some('b' | 'B') => Err(Refused::Unsupported("word boundary")),
            Some('C') => Err(Refused::Unsupported("\\C")),
            _ => {
                let (class, negate) = self.escaped_class()?;
                self.class(class, negate)
            }
        }
    }

    fn look(&mut self, tree: Tree) -> Parsed<Tree> {
        self.next();
        Ok(tree)
    }

    /// A class or character behind a backslash, inside or outside brackets.
    fn escaped_class(&mut self) -> Parsed<(Class, bool)> {
        let c = self.next().ok_or(Refused::Invalid("trailing \\"))?;
        if let Some(class) = u8::try_from(c).ok().and_then(|b| Class::perl(b.to_ascii_lowercase()))
        {
            return Ok((class, c.is_ascii_uppercase()));
        }
        if matches!(c, 'p' | 'P') {
            return Err(Refused::Unsupported("Unicode class"));
        }
        let code = match c {
            'x' => self.hex()?,
            '0'..='7' => self.octal(c)?,
            'a' => 7,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => c as u32,
            _ => return Err(Refused::Invalid("invalid escape")),
        };
        let c = char::from_u32(code).ok_or(Refused::Invalid("invalid escape"))?;
        Ok((Class::one(c), false))
    }

    fn hex(&mut self) -> Parsed<u32> {
        let invalid = Refused::Invalid("invalid escape");
        let digits = match self.rest.strip_prefix('{') {
            Some(rest) => {
                let (digits, rest) = rest.split_once('}').ok_or(invalid.clone())?;
                self.rest = rest;
                digits
            }
            None => {
                let digits = self.rest.get(..2).ok_or(invalid.clone())?;
                self.rest = self.rest.get(2..).unwrap_or("");
                digits
            }
        };
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| plain).ok_or(invalid)
    }

    /// Octal needs three digits, or a leading zero; a single digit would be a backreference.
    fn octal(&mut self, first: char) -> Parsed<u32> {
        let more = self.rest.bytes().take(2).take_while(|b| matches!(b, b'0'..=b'7')).count();
        if first != '0' && more < 1 {
            return Err(Refused::Invalid("backreference"));
        }
        if first != '0' && more < 2 {
            return Err(Refused::Unsupported("short octal escape"));
        }
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..more {
            code = code * 8 + self.next().and_then(|c| c.to_digit(8)).unwrap_or(0);
        }
        Ok(code)
    }

    fn bracket(&mut self) -> Parsed<Tree> {
        let negate = self.eat("^");
        let mut class = Class::default();
        let mut first = true;
        while first || !self.eat("]") {
            first = false;
            self.bracket_item(&mut class)?;
        }
        Ok(Tree::Class(if negate { class.negated() } else { class.normal() }))
    }

    fn bracket_item(&mut self, class: &mut Class) -> Parsed<()> {
        let posix = self.rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]"));
        if let Some((name, rest)) = posix {
            self.rest = rest;
            let (name, negate) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
            let named = Class::posix(name).ok_or(Refused::Invalid("invalid character class"))?;
            return self.include(class, named, negate);
        }
        let (low, negate) = self.bracket_char()?;
        let single = matches!(low.0.as_slice(), [(lo, hi)] if lo == hi) && !negate;
        if !self.rest.starts_with('-') || self.rest.starts_with("-]") {
            return self.include(class, low, negate);
        }
        if !single {
            return Err(Refused::Unsupported("range from a class"));
        }
        self.next();
        let (high, negate) = self.bracket_char()?;
        match (low.0.as_slice(), high.0.as_slice(), negate) {
            ([(lo, _)], [(hi, end)], false) if lo <= hi && hi == end => {
                self.include(class, Class(vec![(*lo, *hi)]), false)
            }
            _ => Err(Refused::Invalid("invalid character range")),
        }
    }

    fn bracket_char(&mut self) -> Parsed<(Class, bool)> {
        match self.next() {
            None => Err(Refused::Invalid("missing \"]\"")),
            Some('\\') => self.escaped_class(),
            Some(c) => Ok((Class::one(c), false)),
        }
    }

    /// Adds a part with its own negation: `[^\D]` is `\d`. Case is folded before any negation, as in RE2.
    fn include(&self, class: &mut Class, part: Class, negate: bool) -> Parsed<()> {
        let Tree::Class(part) = self.class(part, negate)? else {
            return Ok(());
        };
        class.add(part);
        Ok(())
    }
}

fn number(digits: &str) -> Option<u32> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u32::MAX))
}
