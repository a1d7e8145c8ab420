//! Reads fields out of a JSON object and reports every problem with its path.

use crate::diag::{Diagnostic, is_misspelt, suggestion};
use crate::json::{Json as Value, Number, Object};

/// What an object may hold.
pub(super) struct Schema {
    /// Field names as documented (snake case), sorted.
    pub allowed: &'static [&'static str],
    /// Fields without which the object would apply to more than was meant, or to something else.
    pub narrowing: &'static [&'static str],
}

/// In [`Schema::narrowing`]: every unknown field. Where all fields select something, so does one of a later version.
pub(super) const UNKNOWN: &str = "";

/// One JSON object under reading. Wrong values are reported and read as absent.
pub(super) struct Fields<'v, 'd> {
    path: String,
    object: Option<&'v Object>,
    schema: &'static Schema,
    too_wide: bool,
    diagnostics: &'d mut Vec<Diagnostic>,
}

/// A value and the path that leads to it.
pub(super) type Located<'v> = (String, &'v Value);

// === impl Fields ===

impl<'v, 'd> Fields<'v, 'd> {
    /// Opens an object and reports unknown fields.
    pub fn open(
        (path, value): Located<'v>,
        schema: &'static Schema,
        diagnostics: &'d mut Vec<Diagnostic>,
    ) -> Self {
        let object = value.as_object();
        let mut fields = Self { path, object, schema, too_wide: object.is_none(), diagnostics };
        if object.is_none() {
            let path = fields.here();
            fields.report(path, format!("found {}, expected an object", describe(value)));
        }
        fields.check_names();
        fields
    }

    /// Whether the object cannot be used: it is none, or one of its narrowing fields is misspelt or has a wrong value.
    pub fn is_too_wide(&self) -> bool {
        self.too_wide
    }

    /// A string.
    pub fn string(&mut self, name: &str) -> Option<String> {
        let (path, value) = self.get(name)?;
        match value {
            Value::String(text) => Some(text.clone()),
            other => self.wrong(name, path, other, "a string"),
        }
    }

    /// A string of this object that was found already.
    pub fn text(&mut self, (path, value): Located<'_>) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            other => self.wrong("", path, other, "a string"),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let (path, value) = self.get(name)?;
        match value {
            Value::Bool(flag) => Some(*flag),
            other => self.wrong(name, path, other, "true or false"),
        }
    }

    /// The same, also as a string: older configurations have `debug: "false"`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.get(name)?.1.as_str() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => self.boolean(name),
        }
    }

    /// One of `names`, or its position as a number (protobuf JSON); yields the position.
    pub fn choice(&mut self, name: &str, names: &[&str]) -> Option<usize> {
        let (path, value) = self.get(name)?;
        let position = match value {
            Value::String(text) => names.iter().position(|n| n == text),
            Value::Number(number) => {
                number.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n < names.len())
            }
            _ => None,
        };
        if position.is_none() {
            let hint = suggestion(value.as_str().unwrap_or_default(), names.iter().copied());
            self.wrong::<()>(name, path, value, &[&names.join(" or "), hint.as_str()].concat());
        }
        position
    }

    /// The elements of a list; empty when absent.
    pub fn list(&mut self, name: &str) -> Vec<Located<'v>> {
        let Some((path, value)) = self.get(name) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.wrong::<()>(name, path, value, "a list");
            return Vec::new();
        };
        items.iter().enumerate().map(|(i, item)| (format!("{path}[{i}]"), item)).collect()
    }

    /// A list of strings; empty when absent.
    pub fn strings(&mut self, name: &str) -> Vec<String> {
        self.list(name).into_iter().filter_map(|at| self.text(at)).collect()
    }

    /// The members of an object, sorted by name; empty when absent.
    pub fn members(&mut self, name: &str) -> Vec<(&'v str, Located<'v>)> {
        let Some((path, value)) = self.get(name) else { return Vec::new() };
        let Value::Object(map) = value else {
            self.wrong::<()>(name, path, value, "an object");
            return Vec::new();
        };
        map.iter().map(|(key, item)| (key.as_str(), (format!("{path}.{key}"), item))).collect()
    }

    /// A whole number, written as a number or as a string (protobuf JSON).
    pub fn unsigned(&mut self, name: &str) -> Option<u64> {
        let (path, value) = self.get(name)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number.or_else(|| self.wrong(name, path, value, "a number"))
    }

    /// A list of whole numbers; `None` when absent.
    pub fn unsigned_list(&mut self, name: &str) -> Option<Vec<u64>> {
        let (path, value) = self.get(name)?;
        let Value::Array(items) = value else { return self.wrong(name, path, value, "a list") };
        let number = |(i, item): (usize, &Value)| {
            item.as_u64().or_else(|| self.wrong(name, format!("{path}[{i}]"), item, "a number"))
        };
        Some(items.iter().enumerate().filter_map(number).collect())
    }

    /// A duration such as `5s`, in milliseconds.
    pub fn milliseconds(&mut self, name: &str) -> Option<u64> {
        let (path, value) = self.get(name)?;
        let duration = value.as_str().and_then(milliseconds);
        duration.or_else(|| self.wrong(name, path, value, "a duration such as \"10s\""))
    }

    /// An object to be opened.
    pub fn object(&mut self, name: &str) -> Option<Located<'v>> {
        self.get(name)
    }

    /// Path of a field of this object.
    pub fn path_of(&self, name: &str) -> String {
        let name = if name.is_empty() { "\"\"" } else { name };
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// `null` counts as absent, as in protobuf JSON.
    fn get(&self, name: &str) -> Option<Located<'v>> {
        let object = self.object?;
        let (key, value) =
            object.get_key_value(name).or_else(|| object.get_key_value(camel(name).as_str()))?;
        (!value.is_null()).then(|| (self.path_of(key), value))
    }

    fn check_names(&mut self) {
        let allowed = self.schema.allowed;
        for key in self.object.into_iter().flat_map(Object::keys) {
            let is = |name: &&&str| **name == key || camel(name) == *key;
            if !allowed.iter().any(|n| is(&n)) {
                let hint = suggestion(key, allowed.iter().copied());
                let narrowing = self.schema.narrowing;
                let is_meant = |name: &&str| *name == UNKNOWN || is_misspelt(key, name);
                let meant = narrowing.iter().copied().find(is_meant);
                let consequence = self.consequence(meant.unwrap_or_default());
                let allowed = allowed.join(", ");
                self.report(
                    self.path_of(key),
                    format!("unknown field{hint}{consequence}; allowed: {allowed}"),
                );
            } else if *key != camel(key) && self.object.is_some_and(|o| o.contains_key(&camel(key)))
            {
                let twin = camel(key);
                self.report(self.path_of(key), format!("also given as \"{twin}\", keep one"));
            }
        }
    }

    /// What follows from a field that is misspelt or has a wrong value; the object is unusable if the field narrows it.
    fn consequence(&mut self, name: &str) -> &'static str {
        if self.schema.narrowing.contains(&name) {
            self.too_wide = true;
            return "; the entry has no effect";
        }
        ""
    }

    fn here(&self) -> String {
        if self.path.is_empty() { "configuration".to_owned() } else { self.path.clone() }
    }

    fn wrong<T>(&mut self, name: &str, path: String, found: &Value, expected: &str) -> Option<T> {
        let consequence = self.consequence(name);
        self.report(path, format!("found {}, expected {expected}{consequence}", describe(found)));
        None
    }

    /// Reports a problem of this object.
    pub fn report(&mut self, path: String, message: String) {
        self.diagnostics.push(Diagnostic::error(path, message));
    }
}

/// Protobuf JSON: seconds with at most nine decimals and an `s`.
fn milliseconds(text: &str) -> Option<u64> {
    let seconds = text.strip_suffix('s')?;
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    if !(1..=12).contains(&whole.len()) || !(1..=9).contains(&fraction.len()) {
        return None;
    }
    let mut sum = 0_u64;
    for place in 0..whole.len().saturating_add(fraction.len().max(3)) {
        let of_fraction = place.checked_sub(whole.len());
        let digit = match of_fraction {
            None => whole.as_bytes().get(place),
            Some(place) => fraction.as_bytes().get(place).or(Some(&b'0')),
        };
        let digit = digit?.checked_sub(b'0').filter(|digit| *digit < 10)?;
        if of_fraction < Some(3) {
            sum = sum.wrapping_mul(10).wrapping_add(digit.into());
        }
    }
    Some(sum)
}

/// What a value is, for a person.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(Number::Whole(number)) => format!("the number {number}"),
        Value::Number(Number::Negative(number)) => format!("the number {number}"),
        // To print one would take 2 KB of the module.
        Value::Number(Number::Other(_)) => "a number that is not whole".to_owned(),
        Value::String(text) => format!("the string \"{}\"", shorten(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// `tags_to_remove` -> `tagsToRemove`.
fn camel(name: &str) -> String {
    let mut upper = false;
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}
