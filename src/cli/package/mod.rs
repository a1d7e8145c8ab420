//! `opmeter package`: the module as an image that Istio pulls, without Docker.

mod image;
mod layout;
mod module;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::finding::Format;
use image::Image;
use module::Module;

/// Arguments of `package`.
#[derive(Debug, Args)]
pub struct PackageArgs {
    /// The module
    #[arg(value_name = "MODULE", default_value = "dist/opmeter.wasm")]
    pub module: PathBuf,
    /// Folder of the OCI image layout; made when it is not there
    #[arg(short, long, value_name = "DIR", default_value = "dist/image")]
    pub output: PathBuf,
    /// Which of the kinds that Istio takes
    #[arg(long = "as", value_enum, default_value_t)]
    pub kind: Kind,
    /// Name of the image in the layout; one of that name is replaced, others stay
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"), value_parser = tag)]
    pub tag: String,
    /// How to write the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Images that Istio takes a module from (Istio, `pkg/wasm/imagefetcher.go`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// OCI image: one layer with plugin.wasm
    #[default]
    Oci,
    /// Docker image: the same for registries that know nothing else
    Docker,
    /// OCI artifact: the module itself is a layer
    Artifact,
}

/// OCI Distribution Specification: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
fn tag(text: &str) -> Result<String, String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = text.chars().next().is_some_and(word);
    if first && text.len() <= 128 && text.chars().all(|c| word(c) || c == '.' || c == '-') {
        return Ok(text.to_owned());
    }
    Err("expected at most 128 letters, digits, `_`, `.` and `-`, no `.` or `-` in front".to_owned())
}

/// Writes the image.
pub fn run(args: &PackageArgs) -> Result<ExitCode> {
    let module = Module::read(&args.module)?;
    let image = Image::new(args.kind, &module)?;
    layout::write(&args.output, &args.tag, &image)
        .with_context(|| format!("cannot write {}", args.output.display()))?;
    show::print(args, &image)?;
    Ok(ExitCode::SUCCESS)
}
