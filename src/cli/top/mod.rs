//! `opmeter top` and `opmeter scrape`: operations of running proxies.

mod exposition;
mod history;
mod plain;
mod screen;
mod source;
mod state;
mod totals;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::finding::Format;
use source::Endpoint;

/// Arguments of `scrape`.
#[derive(Debug, Args)]
pub struct ScrapeArgs {
    /// Where proxies serve their metrics: 127.0.0.1:15090, or a whole URL
    #[arg(required = true, value_name = "URL")]
    pub urls: Vec<Endpoint>,
    /// How to write the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    #[command(flatten)]
    pub view: ViewArgs,
}

/// Arguments of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Where proxies serve their metrics: 127.0.0.1:15090, or a whole URL
    #[arg(required = true, value_name = "URL")]
    pub urls: Vec<Endpoint>,
    /// Seconds between scrapes
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub interval: Duration,
    /// Tables to print where there is no terminal
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
    #[command(flatten)]
    pub view: ViewArgs,
}

/// What to show.
#[derive(Clone, Debug, Args)]
pub struct ViewArgs {
    /// Labels that make a row
    #[arg(long, value_name = "LABEL", value_delimiter = ',', default_values_t = ["request_operation".to_owned(), "reporter".to_owned()])]
    pub by: Vec<String>,
    /// Column to sort by
    #[arg(long, value_enum, default_value_t)]
    pub sort: Sort,
    /// Only rows that hold this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub filter: String,
}

/// Columns to sort by; the largest comes first, names in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Requests: per second in top, all in scrape
    #[default]
    Requests,
    /// Share of errors
    Errors,
    /// Median duration
    P50,
    /// Duration of the slowest tenth
    P90,
    /// Duration of the slowest hundredth
    P99,
    /// Name
    Name,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=3_600.0).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("found \"{text}\", expected 0.1 to 3600"))?;
    Ok(Duration::from_secs_f64(seconds))
}

/// One scrape of each proxy as a table.
pub fn scrape(args: &ScrapeArgs) -> Result<ExitCode> {
    let totals = source::once(&args.urls, &args.view.by)?;
    plain::print_totals(&totals, &args.view, args.format)?;
    Ok(ExitCode::SUCCESS)
}

/// The live view, or tables where there is no terminal.
pub fn top(args: &TopArgs) -> Result<ExitCode> {
    use std::io::IsTerminal;
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        screen::run(args)
    } else {
        plain::run(args)
    }
}
