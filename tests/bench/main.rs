//! What the module costs a real Envoy, next to no filter at all, to a module that does nothing, and to Envoy's own means.
//!
//! All proxies of a comparison run side by side and get slices of load in turn, so that each round sees one machine; what is
//! told are overheads over no filter, and ratios of them. One Envoy worker answers everything itself.
//!
//! ```text
//! traffic -> load -> proxy (an Envoy) x mount -> running (side by side) -> compare -> report, bars, plot
//! ```

mod bars;
mod bootstrap;
mod compare;
mod config;
mod hand;
mod load;
mod machine;
mod mount;
mod native;
mod plot;
mod progress;
mod proxy;
mod report;
mod running;
mod sample;
mod traffic;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use compare::{Bench, Effort, NO_VALGRIND, has_valgrind};
use progress::Progress;
use report::Report;
use std::path::PathBuf;

/// What opmeter costs a real Envoy.
#[derive(Debug, Parser)]
struct Options {
    /// The Envoy to run.
    #[arg(long, env = "OPMETER_ENVOY")]
    envoy: PathBuf,
    /// The module.
    #[arg(long, env = "OPMETER_MODULE", default_value = "dist/opmeter.wasm")]
    module: PathBuf,
    /// Measure all there is, for a quarter of an hour, and write the results below --out.
    #[arg(long)]
    full: bool,
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Where a full run writes its results.
    #[arg(long, default_value = "docs/bench")]
    out: PathBuf,
    /// Makes all times so many times longer or shorter.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Only mounts whose names hold one of these, and what they are compared with.
    #[arg(long, value_name = "NAME")]
    mount: Vec<String>,
    /// So many rounds of load on all proxies before they are started anew.
    #[arg(long)]
    rounds: Option<usize>,
    /// How often all proxies are started anew.
    #[arg(long)]
    generations: Option<usize>,
    /// Other numbers of label sets, growing.
    #[arg(long, value_delimiter = ',')]
    label_sets: Vec<usize>,
    /// Command line to name in the results.
    #[arg(long, default_value = "opmeter-bench")]
    command: String,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// All mounts: CPU, latency, memory, start.
    Mounts,
    /// Cost against the number of label sets.
    Series,
    /// What configuring many operations costs.
    Configure,
    /// Cost against the number of operations, ours and the host's.
    Operations,
    /// 10,000 operations against three, in one Envoy.
    Pairs,
    /// Where the time goes.
    Profile,
    /// How many instructions a request takes; needs valgrind.
    Instructions,
}

const QUICK: [Part; 3] = [Part::Mounts, Part::Series, Part::Configure];
const ALL: [Part; 7] = [
    Part::Mounts,
    Part::Instructions,
    Part::Pairs,
    Part::Series,
    Part::Configure,
    Part::Operations,
    Part::Profile,
];

fn main() -> Result<()> {
    let options = Options::parse();
    let parts: &[Part] = match (options.only.is_empty(), options.full) {
        (false, _) => &options.only,
        (true, true) => &ALL,
        (true, false) => &QUICK,
    };
    let mut effort = if options.full { Effort::full() } else { Effort::quick() };
    if !options.label_sets.is_empty() {
        effort.label_sets = options.label_sets;
    }
    effort.rounds = options.rounds.unwrap_or(effort.rounds);
    effort.generations = options.generations.unwrap_or(effort.generations);
    effort.mounts = options.mount;
    let folder = tempfile::tempdir()?;
    let module = options.module.canonicalize();
    let module = module.with_context(|| format!("no module {}", options.module.display()))?;
    let bench = Bench::new(
        options.envoy,
        module,
        folder.path(),
        effort.scaled(options.scale),
        Progress::new(),
    )?;
    let mut report = Report::new(options.command, machine::describe(&bench)?);
    for part in parts {
        match part {
            Part::Mounts => report.mounts = Some(bench.mounts()?),
            Part::Series => report.series = Some(bench.series()?),
            Part::Configure => report.configuring = Some(bench.configuring()?),
            Part::Operations => report.operations = Some(bench.operations()?),
            Part::Pairs => report.pairs = Some(bench.pairs()?),
            Part::Profile => report.profile = Some(bench.profile()?),
            Part::Instructions if options.only.is_empty() && !has_valgrind() => {
                eprintln!("instructions are left out: {NO_VALGRIND}");
            }
            Part::Instructions => report.instructions = Some(bench.instructions()?),
        }
    }
    println!("{}", report.render());
    if options.full {
        report.write(&options.out)?;
    }
    Ok(())
}
