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
    let schema = schema(args.of);
    if args.markdown {
        anstream::print!("{}", reference::markdown(schema.as_value(), args.of));
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("{}", serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}

fn schema(of: Kind) -> Schema {
    let generator = SchemaSettings::draft07().into_generator();
    match of {
        Kind::Configuration => generator.into_root_schema_for::<configuration::Configuration>(),
        Kind::Project => generator.into_root_schema_for::<Project>(),
    }
}

#[cfg(test)]
mod tests;
