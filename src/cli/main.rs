//! The command line of opmeter.
//!
//! Exit status: 0 when the command did what it was asked and found nothing, 1 when it has findings, 2 for wrong usage or when it
//! could not do it (one sentence on stderr says why), 130 when it was interrupted before it was done.
#![forbid(unsafe_code)]

mod args;
mod budget;
mod doctor;
mod documents;
mod examples;
mod explain;
mod expression;
mod files;
mod finding;
mod generate;
mod guard;
mod lint;
mod offline;
mod openapi;
mod package;
mod render;
mod run;
mod schema;
mod table;
mod telemetry;
mod text;
mod top;
mod version;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

const FAILED: u8 = 2;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Openapi(args) => openapi::run(&args),
        Command::Budget(args) => budget::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Package(args) => package::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Scrape(args) => top::scrape(&args),
        Command::Top(args) => top::top(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
        Command::Files(args) => files::write(&args),
        Command::Guard(args) => guard::exec(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("opmeter: {error:#}");
        ExitCode::from(FAILED)
    })
}
