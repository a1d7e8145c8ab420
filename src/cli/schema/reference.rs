//! A schema as tables: the reference of the configuration.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::Kind;

/// One table for the whole and one per object in it, in the order they are first named.
pub fn markdown(schema: &Value, of: Kind) -> String {
    let mut out = format!("# {}\n\n", schema["title"].as_str().unwrap_or("Reference"));
    let command = match of {
        Kind::Configuration => "opmeter schema --markdown",
        Kind::Project => "opmeter schema project --markdown",
    };
    let _ = writeln!(out, "{}\n\nMade by `{command}`.\n", description(schema));
    object(schema, &mut out);
    let definitions = schema["definitions"].as_object().cloned().unwrap_or_default();
    let mut told: Vec<String> = Vec::new();
    let mut open = named(schema);
    while let Some(name) = open.first().cloned() {
        open.remove(0);
        let definition = &definitions[name.as_str()];
        if told.contains(&name) || definition.get("properties").is_none() {
            continue;
        }
        let _ = writeln!(out, "\n## {name}\n\n{}\n", description(definition));
        object(definition, &mut out);
        open.extend(named(definition));
        told.push(name);
    }
    choices(&definitions, &mut out);
    out
}

fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn object(schema: &Value, out: &mut String) {
    out.push_str("| field | type | meaning |\n| --- | --- | --- |\n");
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let needed = if required.iter().any(|field| field == name) { ", required" } else { "" };
        let meaning = description(property).replace('|', "\\|");
        let _ = writeln!(out, "| `{name}` | {}{needed} | {meaning} |", kind(property));
    }
}

/// What a value is, for a person.
fn kind(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return match name {
            "Duration" | "Unsigned" | "Flag" => name.to_lowercase(),
            _ => format!("[{name}](#{})", name.to_lowercase()),
        };
    }
    for list in ["anyOf", "allOf"] {
        let parts = schema[list].as_array().into_iter().flatten();
        let parts: Vec<&Value> = parts.filter(|part| part["type"] != "null").collect();
        if let [part] = parts.as_slice() {
            return kind(part);
        }
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().find(|name| *name != "null"),
        name => Some(name),
    };
    match name.and_then(Value::as_str) {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some("object") => match schema.get("additionalProperties").filter(|of| of.is_object()) {
            Some(of) => format!("map of {}", kind(of)),
            None => "object".to_owned(),
        },
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

/// Definitions that the fields of an object name.
fn named(schema: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for property in schema["properties"].as_object().into_iter().flatten().map(|(_, value)| value) {
        let parts = property["anyOf"].as_array().into_iter().chain(property["allOf"].as_array());
        let places = [property, &property["items"]].into_iter().chain(parts.flatten());
        all.extend(places.filter_map(reference).map(str::to_owned));
    }
    all
}

fn choices(definitions: &Map<String, Value>, out: &mut String) {
    for (name, definition) in definitions {
        let words: Vec<(&str, String)> = definition["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|choice| Some((choice["const"].as_str()?, description(choice))))
            .collect();
        if words.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n## {name}\n\n{}\n", description(definition));
        for (word, meaning) in words {
            let _ = writeln!(out, "- `{word}`: {meaning}");
        }
    }
}
