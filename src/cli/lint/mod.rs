//! `opmeter lint`: what is wrong with documents before a proxy gets them.

mod bootstrap;
mod configuration;
mod dimensions;
mod envoy_filter;
mod histograms;
mod local_file;
mod mesh;
mod operator;
mod reach;
mod rules;
mod tags;
mod telemetry;
mod two_plugins;
mod wasm_plugin;

pub use configuration::{Verdict, accepted, advice, left_out, not_in_force, verdict};
pub use local_file::FIX as LOCAL_FILE_FIX;
pub use tags::expression as tag_expression;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::documents::{Document, DocumentKind, Plugin, TagSource, load, plugins, tag_sources};
use crate::finding::{Finding, Format, Rule, report};
use crate::telemetry::Telemetry;
use crate::version::IstioVersion;

/// Arguments of `lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Plugin configurations, WasmPlugin, EnvoyFilter, Telemetry, IstioOperator, Envoy bootstraps; YAML or JSON, `-` is
    /// standard input. Give what belongs together in one call: stats tags and Telemetry count for the plugins beside them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How to write the findings
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Kinds of findings to leave out
    #[arg(long, value_enum, value_name = "RULE", value_delimiter = ',')]
    pub allow: Vec<Rule>,
    /// The Istio release these files are for, such as 1.28
    #[arg(long, value_name = "VERSION", default_value_t)]
    pub istio_version: IstioVersion,
}

/// Everything that is checked together.
#[derive(Debug)]
pub struct Scene {
    documents: Vec<Document>,
    plugins: Vec<Plugin>,
    tags: Vec<TagSource>,
    telemetries: Vec<Telemetry>,
    version: IstioVersion,
}

/// Checks the files and prints what was found.
pub fn run(args: &LintArgs) -> Result<ExitCode> {
    let (documents, mut findings) = load(&args.files)?;
    let checked = documents.len();
    findings.extend(check(documents, args.istio_version));
    findings.retain(|finding| !args.allow.contains(&finding.rule));
    let clean = findings.is_empty();
    report(findings, checked, args.format)?;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// All findings in documents that belong together.
pub fn check(documents: Vec<Document>, version: IstioVersion) -> Vec<Finding> {
    let scene = Scene::new(documents, version);
    let mut findings = Vec::new();
    for document in &scene.documents {
        match document.kind {
            DocumentKind::Unknown => findings.push(unknown(document)),
            DocumentKind::WasmPlugin => wasm_plugin::check(document, &mut findings),
            DocumentKind::EnvoyFilter => envoy_filter::check(document, &scene, &mut findings),
            DocumentKind::Bootstrap => bootstrap::check(document, &mut findings),
            DocumentKind::IstioOperator => operator::check(document, version, &mut findings),
            DocumentKind::Configuration | DocumentKind::Telemetry | DocumentKind::Resource => {}
        }
        histograms::check(document, &scene, &mut findings);
    }
    for plugin in &scene.plugins {
        configuration::check(plugin, &scene, &mut findings);
        local_file::check(plugin, &scene, &mut findings);
    }
    telemetry::check(&scene, &mut findings);
    tags::check(&scene, &mut findings);
    mesh::check(&scene, &mut findings);
    two_plugins::check(&scene, &mut findings);
    findings
}

fn unknown(document: &Document) -> Finding {
    let message = "not a document that is known here";
    Finding::warning(Rule::UnknownDocument, &document.source, &document.node.span, message).fix(
        "give a plugin configuration, an Envoy bootstrap, or a WasmPlugin, EnvoyFilter, Telemetry or IstioOperator",
    )
}

// === impl Scene ===

impl Scene {
    fn new(documents: Vec<Document>, version: IstioVersion) -> Self {
        let numbered = || documents.iter().enumerate();
        Self {
            plugins: numbered().flat_map(|(i, document)| plugins(i, document)).collect(),
            tags: numbered().flat_map(|(i, document)| tag_sources(i, document)).collect(),
            telemetries: documents.iter().filter_map(crate::telemetry::read).collect(),
            documents,
            version,
        }
    }
}
