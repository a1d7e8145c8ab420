//! `opmeter budget`: what a configuration costs, in series and bytes, before it is rolled out.

mod estimate;
mod show;
mod values;

pub use estimate::{Estimate, Scale, Shape, estimate};

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use crate::documents::{Document, Plugin, load, plugins};
use crate::finding::Format;
use crate::lint::{Verdict, accepted, left_out, not_in_force, verdict};

/// Arguments of `budget`.
#[derive(Debug, Args)]
pub struct BudgetArgs {
    /// Plugin configurations, or documents that hold some: WasmPlugin, EnvoyFilter, Envoy bootstraps
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How to write the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    #[command(flatten)]
    pub scale: ScaleArgs,
}

/// How large the mesh is.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "The mesh")]
pub struct ScaleArgs {
    /// Workloads that one proxy talks to, versions and services counted one by one
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub peers: u64,
    /// Different response codes per operation and peer
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub codes: u64,
    /// Different values of a label, where the configuration does not tell
    #[arg(long, value_name = "LABEL=N", value_parser = label_values)]
    pub values: Vec<(String, u64)>,
    /// Finite bounds of the histograms; by default those of the bootstrap, or Istio's
    #[arg(long, value_name = "N")]
    pub bounds: Option<u64>,
    /// Proxies that Prometheus scrapes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub proxies: u64,
    /// Seconds between scrapes
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..))]
    pub interval: u64,
}

fn label_values(text: &str) -> Result<(String, u64), String> {
    let (label, number) = text.split_once('=').ok_or("expected LABEL=N")?;
    let number = number.parse().map_err(|_| format!("found \"{number}\", expected a number"))?;
    Ok((label.to_owned(), number))
}

/// Prints the estimate of every plugin in the files.
pub fn run(args: &BudgetArgs) -> Result<ExitCode> {
    let (documents, broken) = load(&args.files)?;
    if let Some(finding) = broken.first() {
        bail!("{}: {}", finding.source.name, finding.message);
    }
    let found: Vec<Plugin> =
        documents.iter().enumerate().flat_map(|(i, document)| plugins(i, document)).collect();
    if found.is_empty() {
        bail!("no plugin configuration in these files");
    }
    let mut estimates = Vec::new();
    for plugin in &found {
        let name = &plugin.source.name;
        let Some(accepted) = accepted(plugin) else {
            bail!("{name}: {}", not_in_force(&plugin.text));
        };
        if let Verdict::LeftOut(parts) = verdict(&plugin.text) {
            eprintln!("opmeter: {name}: {}", left_out(parts));
        }
        let shape = Shape::new(&accepted.config, &accepted.plan, &args.scale.values);
        let bounds = args.scale.bounds.unwrap_or_else(|| bounds(&documents[plugin.document]));
        let scale = Scale::new(&args.scale, bounds);
        let line = plugin.source.position(plugin.anchor.start).line;
        estimates.push((format!("{name}:{line}"), estimate(&shape, &scale)));
    }
    show::print(&estimates, args.format)?;
    Ok(ExitCode::SUCCESS)
}

/// Bounds that a bootstrap gives the module's histograms.
fn bounds(document: &Document) -> u64 {
    let config = document.node.either(["stats_config", "statsConfig"]);
    let settings = config
        .and_then(|config| config.either(["histogram_bucket_settings", "histogramBucketSettings"]));
    let reaches = |setting: &&crate::text::Node| {
        let prefix = setting.text_at(&["match", "prefix"]);
        prefix.is_some_and(|prefix| "wasmcustom.".starts_with(prefix))
    };
    let setting = settings.and_then(|settings| settings.items().iter().find(reaches));
    let buckets = setting.and_then(|setting| setting.get("buckets"));
    buckets.map_or(estimate::ISTIO_BOUNDS, |buckets| buckets.items().len() as u64)
}
