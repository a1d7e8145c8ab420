//! Text -> documents, by a YAML 1.2 parser; JSON is YAML written in one of its ways.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::node::{Entry, Kind, Node, Style};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 200;
/// Most values of one file, aliases written out: a file of a few lines of aliases can stand for billions.
const MAX_NODES: usize = 2_000_000;

/// Why a text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Byte where the reading ended.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

/// The documents of a text; empty ones are left out.
///
/// # Errors
/// The first place that is neither YAML nor JSON.
pub fn parse(text: &str) -> Result<Vec<Node>, Broken> {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        // JSON may be indented by tabs, YAML may not; a tab and a space are one byte each, so all places stay.
        return read(&text.replace('\t', " "));
    }
    read(text)
}

fn read(text: &str) -> Result<Vec<Node>, Broken> {
    let mut reader =
        Reader { bytes: bytes(text), events: Vec::new(), anchors: HashMap::new(), at: 0, nodes: 0 };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => reader.events.push((event, span)),
            Err(error) => {
                let at = reader.byte(error.marker().index());
                return Err(Broken { at, message: error.info().to_owned() });
            }
        }
    }
    let mut documents = Vec::new();
    while let Some((event, _)) = reader.events.get(reader.at) {
        if !matches!(event, Event::DocumentStart(_)) {
            reader.at += 1;
            continue;
        }
        reader.at += 1;
        reader.anchors.clear();
        if let Some(node) = reader.node(0)?
            && !is_empty(&node)
        {
            documents.push(node);
        }
    }
    Ok(documents)
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar(text, Style::Plain) if text.is_empty() || text == "~")
}

/// The parser counts characters; this finds bytes. Empty for ASCII, where both are the same.
fn bytes(text: &str) -> Vec<usize> {
    if text.is_ascii() {
        return Vec::new();
    }
    text.char_indices().map(|(at, _)| at).chain([text.len()]).collect()
}

struct Reader<'t> {
    bytes: Vec<usize>,
    events: Vec<(Event<'t>, Span)>,
    anchors: HashMap<usize, Node>,
    at: usize,
    nodes: usize,
}

// === impl Reader ===

impl Reader<'_> {
    fn byte(&self, index: usize) -> usize {
        match self.bytes.as_slice() {
            [] => index,
            bytes => bytes.get(index).or(bytes.last()).copied().unwrap_or_default(),
        }
    }

    fn span(&self, span: Span) -> Range<usize> {
        self.byte(span.start.index())..self.byte(span.end.index())
    }

    fn node(&mut self, depth: usize) -> Result<Option<Node>, Broken> {
        let Some((event, span)) = self.events.get(self.at).cloned() else { return Ok(None) };
        let span = self.span(span);
        let broken = |message: &str| Broken { at: span.start, message: message.to_owned() };
        self.nodes += 1;
        if depth > MAX_DEPTH {
            return Err(broken("nested too deeply"));
        }
        if self.nodes > MAX_NODES {
            return Err(broken("too many values"));
        }
        self.at += 1;
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let kind = Kind::Scalar(text.into_owned(), style_of(style));
                (anchor, Node { span, kind })
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list(span, depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(span, depth)?),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(broken("an alias of something that contains it"));
                };
                node.walk(&mut |_| self.nodes += 1);
                (0, node)
            }
            _ => return Ok(None),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(Some(node))
    }

    fn list(&mut self, mut span: Range<usize>, depth: usize) -> Result<Node, Broken> {
        let mut items: Vec<Node> = Vec::new();
        loop {
            if let Some((Event::SequenceEnd, end)) = self.events.get(self.at) {
                span.end = self.byte(end.end.index());
                self.at += 1;
                break;
            }
            match self.node(depth + 1)? {
                Some(item) => items.push(item),
                None => break,
            }
        }
        Ok(Node { span, kind: Kind::List(items) })
    }

    fn map(&mut self, mut span: Range<usize>, depth: usize) -> Result<Node, Broken> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            if let Some((Event::MappingEnd, end)) = self.events.get(self.at) {
                span.end = self.byte(end.end.index());
                self.at += 1;
                break;
            }
            let Some(key) = self.node(depth + 1)? else { break };
            let Some(value) = self.node(depth + 1)? else { break };
            let text = match &key.kind {
                Kind::Scalar(text, _) => text.clone(),
                _ => {
                    let message = "a key that is not text".to_owned();
                    return Err(Broken { at: key.span.start, message });
                }
            };
            if entries.iter().any(|entry| entry.key == text) && text != "<<" {
                let message = format!("the key \"{text}\" is there twice");
                return Err(Broken { at: key.span.start, message });
            }
            entries.push(Entry { key: text, key_span: key.span, value });
        }
        Ok(Node { span, kind: Kind::Map(merged(entries)) })
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

/// YAML's merge key `<<`, which Envoy's and Kubernetes' readers know: a key of the mapping itself goes first.
fn merged(entries: Vec<Entry>) -> Vec<Entry> {
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| e.key == "<<");
    for merge in merges {
        let maps = match merge.value.kind {
            Kind::List(items) => items,
            _ => vec![merge.value],
        };
        for entry in maps.into_iter().flat_map(|map| map.entries().to_vec()) {
            if own.iter().all(|known| known.key != entry.key) {
                own.push(entry);
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::{Broken, parse};

    #[track_caller]
    fn shown(text: &str) -> Vec<String> {
        parse(text).unwrap().iter().map(|node| node.to_json().to_string()).collect()
    }

    #[test]
    fn documents_of_a_file_are_read_one_by_one() {
        assert_eq!(shown("a: 1\n---\n---\n- x\n- 'y'\n"), [r#"{"a":1}"#, r#"["x","y"]"#]);
        assert_eq!(shown("# nothing\n"), Vec::<String>::new());
        assert_eq!(shown("{\n\t\"a\": [true, null, \"1\"]\n}"), [r#"{"a":[true,null,"1"]}"#]);
    }

    #[test]
    fn aliases_and_merges_are_written_out() {
        assert_eq!(
            shown("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n"),
            [r#"{"base":{"x":1,"y":2},"use":{"x":1,"y":3}}"#]
        );
    }

    #[test]
    fn every_value_has_its_bytes() {
        let text = "é: [x, 'two']\nlast: |\n  a\n  b\n";
        let node = parse(text).unwrap().remove(0);
        let items = node.get("é").unwrap().items();
        assert_eq!(&text[items[0].span.clone()], "x");
        assert_eq!(&text[items[1].span.clone()], "'two'");
        assert_eq!(&text[node.entry("last").unwrap().key_span.clone()], "last");
    }

    #[test]
    fn what_cannot_be_read_has_a_place() {
        let twice = Broken { at: 5, message: "the key \"a\" is there twice".to_owned() };
        assert_eq!(parse("a: 1\na: 2\n").unwrap_err(), twice);
        assert!(parse("a: [1\nb: 2\n").is_err());
    }
}
