//! `opmeter doctor`: why a running proxy has no metrics, or others than it should.

mod admin;
mod checks;
mod counters;
mod dump;
mod in_force;
mod loading;
mod mounts;
mod names;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::finding::Format;
use admin::Snapshot;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Envoy's admin: 127.0.0.1:15000, or a whole URL
    #[arg(value_name = "ADMIN", default_value = "127.0.0.1:15000")]
    pub admin: String,
    /// Istio's agent, which tells what it could not fetch [default: port 15020 beside an admin of port 15000]
    #[arg(long, value_name = "ADDRESS")]
    pub agent: Option<String>,
    /// How to write the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What one check came to.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Diagnosis {
    /// Whether that is how it should be.
    pub verdict: Verdict,
    /// What was looked at and seen.
    pub seen: String,
    /// What to do about it; empty when it is fine.
    pub remedy: String,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// Nothing wrong, and nothing to see either.
    Note,
    /// Metrics are missing or wrong.
    Problem,
}

// === impl Diagnosis ===

impl Diagnosis {
    /// As it should be.
    pub fn fine(seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fine, seen: seen.into(), remedy: String::new() }
    }

    /// Something to know.
    pub fn note(seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, seen: seen.into(), remedy: remedy.into() }
    }

    /// Something wrong.
    pub fn problem(seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, seen: seen.into(), remedy: remedy.into() }
    }
}

/// Examines a proxy and prints what was found.
pub fn run(args: &DoctorArgs) -> Result<ExitCode> {
    let snapshot = Snapshot::take(&args.admin, args.agent.as_deref())?;
    let all = checks::all(&snapshot);
    let sick = all.iter().any(|diagnosis| diagnosis.verdict == Verdict::Problem);
    match args.format {
        Format::Json => {
            anstream::println!("{}", serde_json::to_string_pretty(&all)?);
        }
        Format::Text => {
            for diagnosis in &all {
                anstream::println!("{}", text(diagnosis));
            }
        }
    }
    Ok(if sick { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn text(diagnosis: &Diagnosis) -> String {
    let (colour, word) = match diagnosis.verdict {
        Verdict::Fine => ("\u{1b}[32m", "fine   "),
        Verdict::Note => ("\u{1b}[33m", "note   "),
        Verdict::Problem => ("\u{1b}[31m", "problem"),
    };
    let mut text = format!("{colour}{word}\u{1b}[0m  {}", diagnosis.seen);
    if !diagnosis.remedy.is_empty() {
        text += &format!("\n         {}", diagnosis.remedy);
    }
    text
}
