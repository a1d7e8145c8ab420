//! `opmeter explain`: one request, and what becomes of it.
//!
//! The module's own core decides, with a model of a proxy instead of a proxy; only the reasons are found here.

mod attribute;
mod host;
mod label;
mod model;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use opmeter_core::port::Message;
use opmeter_core::{Configured, Recorder, Stream, config, configure};

use crate::documents::{load, plugins};
use crate::finding::Format;
use crate::lint::{left_out, not_in_force};
use host::{Model, Statistics};

/// Arguments of `explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// A plugin configuration, or a document that holds one; of a bootstrap the node's metadata count too
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// HTTP method
    pub method: String,
    /// Path with its query, as received
    pub path: String,
    /// Path that the route rewrites it to, with its query
    #[arg(long, value_name = "PATH")]
    pub rewrite: Option<String>,
    /// Request headers
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// HTTP status of the response
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(0..1000))]
    pub status: u16,
    /// The other side, as metadata exchange tells it: workload=reviews-v1,namespace=default,app=reviews
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',', value_parser = pair)]
    pub peer: Vec<(String, String)>,
    /// The listener it comes by
    #[arg(long, value_enum, default_value_t)]
    pub side: Side,
    /// Which plugin of the file, counted from 1
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub plugin: usize,
    /// How to write the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// reporter="destination"
    #[default]
    Inbound,
    /// reporter="source"
    Outbound,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    Ok((name.trim().to_lowercase(), value.trim().to_owned()))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

// === impl ExplainArgs ===

impl ExplainArgs {
    /// The request as the proxy sends it.
    fn sent(&self) -> Self {
        let path = self.rewrite.clone().unwrap_or_else(|| self.path.clone());
        Self { path, ..self.clone() }
    }
}

/// Explains one request.
pub fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let (documents, broken) = load(std::slice::from_ref(&args.file))?;
    if let Some(finding) = broken.first() {
        bail!("{}: {}", finding.source.name, finding.message);
    }
    let found = documents.iter().enumerate().flat_map(|(i, document)| plugins(i, document));
    let found: Vec<_> = found.collect();
    let plugin = args.plugin.checked_sub(1).and_then(|i| found.get(i));
    let Some(plugin) = plugin else {
        bail!("{} holds {} plugin configurations", args.file.display(), found.len());
    };
    let node = documents[plugin.document].node.get("node").map(crate::text::Node::to_json);
    let node = node.unwrap_or_default();
    let sent = args.sent();
    let mut model = Model::new(model::attributes(args, node.clone()));
    let rewritten = Model::new(model::attributes(&sent, node));
    let taken = configure(plugin.text.as_bytes(), &mut model);
    let (Ok((config, _)), Ok(Configured { plan, problems })) =
        (config::parse(plugin.text.as_bytes()), taken)
    else {
        bail!("{}", not_in_force(&plugin.text));
    };
    if !problems.is_empty() {
        eprintln!("opmeter: {}", left_out(problems.len()));
    }
    let received = attribute::Phase { model: &model, args };
    let at_the_end = attribute::Phase { model: &rewritten, args: &sent };
    let attributes = attribute::explained(&config, &received, &at_the_end);
    let mut statistics = Statistics::default();
    let mut recorder = Recorder::new(plan, &mut model, &mut statistics);
    let mut stream = Stream::default();
    model.pass(Some(Message::Request));
    recorder.on_request(&mut stream, &mut model, &mut statistics);
    model.rewrite(&rewritten);
    model.pass(Some(Message::Response));
    recorder.on_response(&mut stream, &mut model, &mut statistics);
    model.pass(None);
    recorder.on_log(&mut stream, &mut model, &mut statistics);
    show::print(&attributes, &config, &model, &statistics, args)?;
    Ok(ExitCode::SUCCESS)
}
