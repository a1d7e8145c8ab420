//! The command line of opmeter.
//!
//! Exit status: 0 when the command did what it was asked, 1 when it could not (one sentence on stderr says why), 2 for wrong usage,
//! 130 when it was interrupted before it was done.
#![forbid(unsafe_code)]

mod args;
mod generate;
mod guard;
mod run;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Generate(args) => generate::write(&args),
        Command::Guard(args) => guard::exec(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("opmeter: {error:#}");
        ExitCode::FAILURE
    })
}
