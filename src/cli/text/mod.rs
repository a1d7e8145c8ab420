//! Configuration texts, YAML or JSON, with the place of every part.
//!
//! ```text
//! file -> parse -> Document { Node } -> embedded (a text inside a text) -> Node with places in the same file
//! ```

mod embedded;
mod json;
mod node;
mod parse;
mod path;

pub use embedded::{Embedded, embedded};
pub use node::{Entry, Kind, Node};
pub use parse::parse;

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};

/// A file that was read.
#[derive(Debug)]
pub struct Source {
    /// Its name as given; `<stdin>` for `-`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A place for a person; lines and columns (in characters) count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

// === impl Source ===

impl Source {
    /// Reads a file, or standard input for `-`.
    pub fn read(path: &Path) -> Result<Self> {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            return Ok(Self { name: "<stdin>".to_owned(), text });
        }
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { name: path.display().to_string(), text })
    }

    /// The place of a byte.
    pub fn position(&self, at: usize) -> Position {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Position { line, column }
    }
}

/// The byte of a text where a place begins.
pub fn offset(text: &str, position: Position) -> usize {
    let mut start = 0;
    for _ in 1..position.line {
        match text[start..].find('\n') {
            Some(end) => start += end + 1,
            None => return text.len(),
        }
    }
    let column = position.column.saturating_sub(1);
    let line = text[start..].split('\n').next().unwrap_or_default();
    start + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at)
}

/// A part of a text without the white space around it, cut to its first line.
pub fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let part = text.get(span.clone()).unwrap_or_default();
    let line = part.lines().next().unwrap_or_default().trim_end();
    span.start..span.start + line.len()
}

#[cfg(test)]
mod tests {
    use super::{Position, Source, offset};

    #[test]
    fn places_and_bytes_are_two_names_of_one_thing() {
        let source = Source { name: "x".to_owned(), text: "aé\nbc\n".to_owned() };
        for (at, line, column) in [(0, 1, 1), (1, 1, 2), (3, 1, 3), (4, 2, 1), (6, 2, 3)] {
            let position = Position { line, column };
            assert_eq!(source.position(at), position);
            assert_eq!(offset(&source.text, position), at);
        }
        assert_eq!(offset(&source.text, Position { line: 9, column: 1 }), source.text.len());
    }
}
