//! From a JSON path, as the core's diagnostics have it, to a place.

use std::ops::Range;

use super::node::{Entry, Node};

/// What a JSON path leads to.
#[derive(Clone, Debug)]
pub struct Place<'n> {
    /// The entry it is the value of, unless it is an element or the whole.
    pub entry: Option<&'n Entry>,
    /// The value; the last one on the way when the path leads on to something that is not there.
    pub node: &'n Node,
    /// Whether the whole path was found.
    pub complete: bool,
}

// === impl Place ===

impl Place<'_> {
    /// The key if there is one, else the value.
    pub fn key_span(&self) -> Range<usize> {
        self.entry.map_or_else(|| self.node.span.clone(), |entry| entry.key_span.clone())
    }

    /// The value when it is a scalar that was found; else the key it hangs on.
    pub fn value_span(&self) -> Range<usize> {
        match (self.complete, self.node.text()) {
            (true, Some(text)) if !text.is_empty() => self.node.span.clone(),
            _ => self.key_span(),
        }
    }
}

// === impl Node ===

impl Node {
    /// Follows a path such as `attributes[2].match[0].condition`.
    ///
    /// Keys may hold dots: the longest key that fits is taken.
    pub fn find(&self, path: &str) -> Place<'_> {
        let mut place = Place { entry: None, node: self, complete: true };
        let mut rest = path;
        while !rest.is_empty() {
            let Some((next, tail)) = step(place.node, rest) else {
                place.complete = false;
                break;
            };
            place = next;
            rest = tail;
        }
        place
    }
}

fn step<'n, 'p>(node: &'n Node, path: &'p str) -> Option<(Place<'n>, &'p str)> {
    if let Some(inner) = path.strip_prefix('[') {
        let (index, rest) = inner.split_once(']')?;
        let item = node.items().get(index.parse::<usize>().ok()?)?;
        return Some((Place { entry: None, node: item, complete: true }, rest));
    }
    let path = path.strip_prefix('.').unwrap_or(path);
    let fits = |entry: &&Entry| {
        let rest = path.strip_prefix(entry.key.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let entry = node.entries().iter().filter(fits).max_by_key(|entry| entry.key.len())?;
    let place = Place { entry: Some(entry), node: &entry.value, complete: true };
    Some((place, &path[entry.key.len()..]))
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn a_path_leads_to_key_and_value() {
        let text = "a:\n- b: {c.d: x}\n- y\n";
        let node = parse(text).unwrap().remove(0);
        let place = node.find("a[0].b.c.d");
        assert_eq!((&text[place.key_span()], &text[place.value_span()]), ("c.d", "x"));
        assert_eq!(&text[node.find("a[1]").value_span()], "y");
    }

    #[test]
    fn what_is_missing_is_shown_at_what_lacks_it() {
        let text = "a: {b: 1}\n";
        let node = parse(text).unwrap().remove(0);
        let place = node.find("a.c");
        assert!(!place.complete);
        assert_eq!(&text[place.value_span()], "a");
    }
}
