//! `opmeter schema`: JSON Schemas for editors.

mod configuration;
mod project;
mod reference;

pub use project::{Project, Side, Stats};

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value, json};

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of what
    #[arg(value_enum, default_value_t)]
    pub of: Kind,
    /// As tables for people, Markdown
    #[arg(long)]
    pub markdown: bool,
}

/// Files with a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The plugin configuration
    #[default]
    Configuration,
    /// opmeter.yaml, which `opmeter render` reads
    Project,
}

/// Prints a schema.
pub fn run(args: &SchemaArgs) -> Result<ExitCode> {
    if args.markdown {
        anstream::print!("{}", reference::markdown(schema(args.of).as_value(), args.of));
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("{}", serde_json::to_string_pretty(&for_editors(args.of))?);
    Ok(ExitCode::SUCCESS)
}

/// The configuration as the module reads it: `tagsToRemove` for `tags_to_remove` too, as protobuf JSON writes it. An editor
/// takes both and offers one.
fn for_editors(of: Kind) -> Schema {
    let mut schema = schema(of);
    if of == Kind::Configuration {
        RecursiveTransform(allow_camel_case).transform(&mut schema);
    }
    schema
}

fn schema(of: Kind) -> Schema {
    let generator = SchemaSettings::draft07().into_generator();
    match of {
        Kind::Configuration => generator.into_root_schema_for::<configuration::Configuration>(),
        Kind::Project => generator.into_root_schema_for::<Project>(),
    }
}

fn allow_camel_case(schema: &mut Schema) {
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let twins: Map<String, Value> = fields
        .filter(|(name, _)| name.contains('_'))
        .map(|(name, field)| (format!("^{}$", in_camel_case(name)), field.clone()))
        .collect();
    if twins.is_empty() {
        return;
    }
    schema.insert("patternProperties".to_owned(), twins.into());
    let Some(Value::Array(required)) = schema.remove("required") else { return };
    let either = |name: &Value| {
        let twin = in_camel_case(name.as_str().unwrap_or_default());
        json!({"anyOf": [{"required": [name]}, {"required": [twin]}]})
    };
    schema.insert("allOf".to_owned(), required.iter().map(either).collect());
}

fn in_camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut all = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        all.push_str(&first.to_ascii_uppercase());
        all.push_str(rest);
    }
    all
}

#[cfg(test)]
mod tests;
