//! Changes of one part of a configuration.

use super::random::Random;
use super::{Broken, Version, Wrong, document};
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// A change of the value at a place, or of its name.
#[derive(Clone, Debug)]
pub struct Edit {
    /// JSON pointer of what is changed.
    pub place: String,
    what: String,
    wrong: Wrong,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    /// The value becomes another, as JSON text.
    Set(String),
    /// The field gets another name.
    Rename(String),
    /// Another field of this name stands behind it.
    Again(String),
    /// It is gone.
    Delete,
    /// The object gets another field.
    Add(String, Value),
}

/// Stands behind a name that is given a second time; the text is written without it.
const AGAIN: &str = "@again";

/// Places whose text may be anything: another text is another configuration.
const FREE_TEXT: [&str; 6] = [
    "/value",
    "/method",
    "/tags_to_remove/0",
    "/additional_labels/0",
    "/provider",
    "/providers/0/name",
];
/// Objects whose names are the operator's.
const FREE_NAMES: [&str; 2] = ["/dimensions", "/tagOverrides"];
/// Where a document of its own begins.
const OPENAPI: &str = "/openapi";

/// Every change that this knows of every part.
pub fn all() -> &'static [Edit] {
    static ALL: OnceLock<Vec<Edit>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut edits = Vec::new();
        visit("", &document(&Version::new("g", 0)), &mut edits);
        edits
    })
}

/// The valid configuration after one change.
pub fn one(version: &Version, edit: &Edit) -> Broken {
    several(version, std::slice::from_ref(edit))
}

/// The valid configuration after several changes; one whose place is gone by then changes nothing.
pub fn several(version: &Version, edits: &[Edit]) -> Broken {
    let mut value = document(version);
    let mut raw = Vec::new();
    let (mut what, mut places, mut wrong) = (Vec::new(), Vec::new(), Wrong::Part);
    for edit in edits {
        if edit.apply(&mut value, &mut raw).is_some() {
            what.push(format!("{} {}", edit.what, edit.place));
            places.push(edit.place.clone());
            wrong = wrong.max(edit.wrong);
        }
    }
    let mut text = value.to_string().replace(&format!("{AGAIN}\":"), "\":");
    for (number, given) in raw.iter().enumerate() {
        text = text.replace(&mark(number).to_string(), given);
    }
    // What cannot be read may have been in a part that is gone by now.
    let gone = wrong == Wrong::Everything && is_readable(text.as_bytes());
    let wrong = if gone { Wrong::Nothing } else { wrong };
    Broken { what: what.join(", "), wrong, places, text: text.into_bytes() }
}

/// Two to five changes.
pub fn some(edits: &[Edit], random: &mut Random) -> Vec<Edit> {
    (0..2 + random.below(4)).map(|_| edits[random.below(edits.len())].clone()).collect()
}

/// Stands for a text until the document is written.
fn mark(number: usize) -> Value {
    Value::String(format!("@raw{number}@"))
}

fn visit(place: &str, value: &Value, edits: &mut Vec<Edit>) {
    let mut add = |what: &str, wrong, change| {
        edits.push(Edit { place: place.to_owned(), what: what.to_owned(), wrong, change });
    };
    let free_names = FREE_NAMES.iter().any(|end| place.ends_with(end));
    if !place.is_empty() {
        for (what, wrong, text) in values(place, value) {
            add(what, wrong, Change::Set(text));
        }
        add("delete", Wrong::Nothing, Change::Delete);
        let (parent, name) = place.rsplit_once('/').unwrap_or_default();
        if name.parse::<usize>().is_err() && !FREE_NAMES.iter().any(|end| parent.ends_with(end)) {
            for (what, wrong) in misspelt(name).into_iter().filter(|(_, wrong)| wrong != name) {
                add(what, Wrong::Part, Change::Rename(wrong));
            }
            let wrong_type = if value.is_boolean() { json!(77) } else { json!(true) };
            add(
                "give again, with another type,",
                Wrong::Part,
                Change::Again(wrong_type.to_string()),
            );
        }
    }
    if place.ends_with(OPENAPI) {
        return;
    }
    match value {
        Value::Object(fields) => {
            if !free_names {
                let later = json!({ "mode": "FAST", "levels": [1, 2] });
                let place = format!("{place}/later_version");
                let change = Change::Add("later_version".to_owned(), later);
                edits.push(Edit { place, what: "add".to_owned(), wrong: Wrong::Part, change });
            }
            for (name, value) in fields {
                visit(&format!("{place}/{name}"), value, edits);
            }
        }
        Value::Array(items) => {
            for (number, value) in items.iter().enumerate() {
                visit(&format!("{place}/{number}"), value, edits);
            }
        }
        _ => {}
    }
}

/// Other values: of another type, of the right type but without meaning, too large, too deep, not JSON.
fn values(place: &str, value: &Value) -> Vec<(&'static str, Wrong, String)> {
    use Wrong::{Everything, Nothing, Part};
    let text =
        if FREE_TEXT.iter().any(|end| place.ends_with(end)) && !place.starts_with("/definitions") {
            Nothing
        } else {
            Part
        };
    let of_object = if value.is_object() { Nothing } else { Part };
    let of_string = if value.is_string() { text } else { Part };
    let of_array = if value.is_array() { Nothing } else { Part };
    let mut values = vec![
        ("null for", Nothing, "null".to_owned()),
        ("a number for", Part, "77".to_owned()),
        ("a negative number for", Part, "-1".to_owned()),
        ("a fraction for", Part, "1.5".to_owned()),
        ("a huge number for", Part, "1e300".to_owned()),
        ("an infinite number for", Everything, "1e999".to_owned()),
        ("a text for", of_string, r#""(""#.to_owned()),
        ("a long text for", of_string, format!("\"{}\"", "a".repeat(9_000))),
        ("a text with NUL for", of_string, r#""\u0000""#.to_owned()),
        ("half a surrogate for", Everything, r#""\ud800""#.to_owned()),
        ("a raw control character for", Everything, "\"\u{1}\"".to_owned()),
        ("an empty list for", of_array, "[]".to_owned()),
        ("a list of lists for", Part, "[[1]]".to_owned()),
        ("an empty object for", of_object, "{}".to_owned()),
        ("another object for", Part, r#"{"a":{"b":1}}"#.to_owned()),
        ("100 levels for", Part, format!("{}{}", "[".repeat(100), "]".repeat(100))),
        ("10,000 levels for", Everything, format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))),
        ("1,000 elements for", Part, format!("[{}7]", "7,".repeat(999))),
        ("in a list", Part, format!("[{value}]")),
        ("in an object", Part, format!(r#"{{"wrapped":{value}}}"#)),
    ];
    if value.is_number() && !place.starts_with("/prewarm") {
        // Right of type, and of any size.
        values[1].1 = Nothing;
    }
    if let Value::Bool(flag) = value
        && place != "/strict"
    {
        values.push(("the opposite of", Nothing, (!flag).to_string()));
    } else if !value.is_boolean() {
        values.push(("true for", Part, "true".to_owned()));
    }
    values
}

/// Names that are one slip away.
fn misspelt(name: &str) -> Vec<(&'static str, String)> {
    let shorter = name.get(..name.len() - 1).unwrap_or_default();
    let mut swapped: Vec<char> = name.chars().collect();
    swapped.swap(1, 2);
    vec![
        ("misspell (a letter less)", shorter.to_owned()),
        ("misspell (a letter more)", format!("{name}x")),
        ("misspell (letters swapped)", swapped.into_iter().collect()),
        ("misspell (upper case)", name.to_uppercase()),
    ]
}

// === impl Edit ===

impl Edit {
    /// `None` when there is nothing at its place any more.
    fn apply(&self, document: &mut Value, raw: &mut Vec<String>) -> Option<()> {
        let (parent, name) = self.place.rsplit_once('/')?;
        let parent = document.pointer_mut(parent)?;
        if let Change::Add(name, value) = &self.change {
            parent.as_object_mut()?.insert(name.clone(), value.clone());
            return Some(());
        }
        let mut marked = |text: &String| {
            raw.push(text.clone());
            mark(raw.len() - 1)
        };
        match parent {
            Value::Object(fields) => {
                let value = fields.get(name)?.clone();
                match &self.change {
                    Change::Set(text) => fields.insert(name.to_owned(), marked(text)),
                    Change::Rename(new) => {
                        fields.remove(name);
                        fields.insert(new.clone(), value)
                    }
                    Change::Again(text) => fields.insert(format!("{name}{AGAIN}"), marked(text)),
                    _ => fields.remove(name),
                };
            }
            Value::Array(items) => {
                let item = items.get_mut(name.parse::<usize>().ok()?)?;
                match &self.change {
                    Change::Set(text) => *item = marked(text),
                    _ => drop(items.remove(name.parse().ok()?)),
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// Whether a text is a JSON object.
pub fn is_readable(text: &[u8]) -> bool {
    text.trim_ascii().is_empty() || serde_json::from_slice::<Map<String, Value>>(text).is_ok()
}
