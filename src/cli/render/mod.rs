//! `opmeter render`: one small file -> everything a proxy or Istio needs.

mod bootstrap;
mod effective;
mod envoy_filter;
mod operator;
mod plugin;
mod project;
mod tags;
mod telemetry;
mod wasm;
mod wasm_plugin;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::finding::{Format, report};
use crate::version::IstioVersion;
use project::Loaded;

/// Arguments of `render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// opmeter.yaml; with --for, Telemetry resources
    #[arg(value_name = "FILE", default_value = "opmeter.yaml")]
    pub files: Vec<PathBuf>,
    /// What to make
    #[arg(long = "as", value_enum, default_value_t)]
    pub kind: Kind,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    pub only: Vec<Part>,
    /// The Istio release to write for, such as 1.17
    #[arg(long, value_name = "VERSION", default_value_t)]
    pub istio_version: IstioVersion,
    /// Print what a workload of this namespace ends up with, all Telemetry resources in the files applied
    #[arg(long = "for", value_name = "NAMESPACE", conflicts_with_all = ["kind", "only"])]
    pub workload: Option<String>,
    /// Labels of that workload, such as app=ratings,version=v1
    #[arg(long, value_name = "LABEL=VALUE", value_delimiter = ',', value_parser = label, requires = "workload")]
    pub labels: Vec<(String, String)>,
    /// The mesh's root namespace
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system")]
    pub root: String,
}

/// What to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// WasmPlugin, Telemetry, stats tags
    #[default]
    WasmPlugin,
    /// EnvoyFilter, Telemetry, stats tags
    EnvoyFilter,
    /// Install values (configOverride), for Istio before 1.21
    IstioOperator,
    /// A plain Envoy's bootstrap
    Bootstrap,
}

/// A part of what is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// WasmPlugin, EnvoyFilter, or IstioOperator
    Plugin,
    /// Telemetry
    Telemetry,
    /// Stats tags: a Deployment's annotations, or the mesh configuration
    Tags,
    /// The plugin configuration alone, as JSON
    Configuration,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected LABEL=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Renders to standard output.
pub fn run(args: &RenderArgs) -> Result<ExitCode> {
    if let Some(namespace) = &args.workload {
        return effective::run(args, namespace);
    }
    let [file] = args.files.as_slice() else { bail!("give one file to render") };
    let loaded = match project::load(file)? {
        Ok(loaded) => loaded,
        Err(findings) => {
            report(findings, 1, Format::Text)?;
            return Ok(ExitCode::from(1));
        }
    };
    if args.only == [Part::Configuration] {
        for side in loaded.sides() {
            let config = plugin::configuration(&loaded, side);
            anstream::println!("{}", serde_json::to_string_pretty(&config)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let documents = documents(&loaded, args)?;
    if let Some(file) = local_file(&loaded, args) {
        eprintln!(
            "opmeter: warning: proxies have to have the file {file} before this is applied, else they answer 500 or do not \
             start; {}",
            crate::lint::LOCAL_FILE_FIX
        );
    }
    ensure!(!documents.is_empty(), "nothing to make: these parts are not needed here");
    anstream::print!("{}", yaml(&documents)?);
    Ok(ExitCode::SUCCESS)
}

/// The file in the proxy that the resources name.
fn local_file<'l>(loaded: &'l Loaded, args: &RenderArgs) -> Option<&'l str> {
    let module = &loaded.project.module;
    let plugin = args.only.is_empty() || args.only.contains(&Part::Plugin);
    match args.kind {
        _ if !plugin => None,
        Kind::WasmPlugin => module.url.strip_prefix("file://"),
        Kind::EnvoyFilter => Some(&module.file),
        Kind::IstioOperator | Kind::Bootstrap => None,
    }
}

fn documents(loaded: &Loaded, args: &RenderArgs) -> Result<Vec<Value>> {
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    let version = args.istio_version;
    if args.kind == Kind::Bootstrap {
        return Ok(vec![bootstrap::bootstrap(loaded)?]);
    }
    let mut all = Vec::new();
    if wanted(Part::Plugin) {
        match args.kind {
            Kind::WasmPlugin => all.extend(wasm_plugin::wasm_plugins(loaded, version)?),
            Kind::EnvoyFilter => all.push(envoy_filter::envoy_filter(loaded)),
            Kind::IstioOperator => all.push(operator::operator(loaded, version)?),
            Kind::Bootstrap => {}
        }
    }
    if wanted(Part::Telemetry) && args.kind != Kind::IstioOperator {
        all.extend(telemetry::telemetry(loaded, version));
    }
    if wanted(Part::Tags) {
        all.extend(tags::tags(loaded, args.kind, version));
    }
    Ok(all)
}

/// Documents as one YAML text.
fn yaml(documents: &[Value]) -> Result<String> {
    let mut text =
        String::from("# Made by `opmeter render`: change opmeter.yaml, then make it again.\n");
    for (i, document) in documents.iter().enumerate() {
        if i > 0 {
            text += "---\n";
        }
        text += &serde_yaml_ng::to_string(document)?;
    }
    Ok(text)
}
