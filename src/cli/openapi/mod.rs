//! `opmeter openapi`: API descriptions -> operations.

mod descriptor;
mod document;
mod merge;
mod show;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::{fs, io};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::budget::ScaleArgs;
use crate::finding::{Finding, Format, report};
use crate::text::Source;
use opmeter_core::operation::Template;

/// Arguments of `openapi`.
#[derive(Debug, Args)]
pub struct OpenapiArgs {
    /// OpenAPI 3.0 or 3.1 documents (YAML or JSON), and protobuf descriptor sets of gRPC services (`protoc -o`, `buf build -o`)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    pub print: Print,
    /// How to write conflicts, and the summary
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Name of the attribute in the configuration
    #[arg(long, value_name = "NAME", default_value = "istio_operation_id")]
    pub attribute: String,
    /// Label that gets its value
    #[arg(long, value_name = "NAME", default_value = "request_operation")]
    pub label: String,
    #[command(flatten)]
    pub scale: ScaleArgs,
}

/// What to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Print {
    /// The operations, and what they cost
    #[default]
    Summary,
    /// A plugin configuration, JSON
    Json,
    /// A plugin configuration, YAML, as WasmPlugin takes it under `pluginConfig`
    Yaml,
}

/// One operation of any description.
#[derive(Clone, Debug)]
pub struct Operation {
    /// HTTP method.
    pub method: String,
    /// Path.
    pub template: Template,
    /// Value of the attribute.
    pub name: String,
    /// The file and the place in it.
    pub origin: String,
    /// Where to point at when it is in the way of another.
    pub at: (Rc<Source>, Range<usize>),
}

/// Reads, merges, prints.
pub fn run(args: &OpenapiArgs) -> Result<ExitCode> {
    let mut operations = Vec::new();
    let mut findings = Vec::new();
    for file in &args.files {
        read(file, &mut operations, &mut findings)?;
    }
    let merged = merge::merge(operations, &mut findings);
    let clean = findings.is_empty();
    if !clean {
        // What is printed below may be piped into a file.
        report_aside(findings, args)?;
    }
    show::print(&merged, args)?;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn report_aside(findings: Vec<Finding>, args: &OpenapiArgs) -> Result<()> {
    if args.print == Print::Summary && args.format == Format::Text {
        return report(findings, args.files.len(), Format::Text);
    }
    for finding in &findings {
        anstream::eprintln!("{}\n", crate::finding::text(finding));
    }
    Ok(())
}

fn read(file: &Path, operations: &mut Vec<Operation>, findings: &mut Vec<Finding>) -> Result<()> {
    let name = file.display().to_string();
    let bytes = match file.as_os_str() == "-" {
        true => {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut io::stdin(), &mut bytes)
                .context("cannot read standard input")?;
            bytes
        }
        false => fs::read(file).with_context(|| format!("cannot read {name}"))?,
    };
    if descriptor::is_descriptor(&bytes) {
        operations.extend(descriptor::operations(&name, &bytes)?);
        return Ok(());
    }
    let text = String::from_utf8(bytes)
        .ok()
        .with_context(|| format!("{name} is neither text nor a protobuf descriptor set"))?;
    document::read(name, text, operations, findings);
    Ok(())
}
