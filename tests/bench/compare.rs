//! The comparisons.

mod configuring;
mod curves;
mod instructions;
mod mounts;
mod pair;
mod profile;

pub use configuring::Configuring;
pub use curves::{LabelSets, Series};
pub use instructions::{Count, NO_VALGRIND, has_valgrind};
pub use mounts::{Comparison, Row};
pub use pair::Pair;
pub use profile::Step;

use crate::config::PLAIN;
use crate::hand::Hand;
use crate::mount::{Mount, Place};
use crate::progress::Progress;
use crate::running::Running;
use crate::traffic::{Sender, Traffic};
use anyhow::Result;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Effort {
    /// How often all proxies are started anew: two processes of one kind differ by where their memory lies.
    pub generations: usize,
    /// Rounds of each generation.
    pub rounds: usize,
    /// Load on one proxy in a round.
    pub slice: Duration,
    /// Load before the first round.
    pub warm_up: Duration,
    /// Load at a fixed rate, in each generation.
    pub latency: Duration,
    /// Parts of the names of the mounts to compare; all when empty.
    pub mounts: Vec<String>,
    /// Whether all are those with operations too.
    pub operations: bool,
    /// How often memory and start are measured where that is all.
    pub starts: usize,
    /// Numbers of label sets, growing.
    pub label_sets: Vec<usize>,
}

/// All that comparisons need.
#[derive(Debug)]
pub struct Bench {
    /// The proxy.
    pub envoy: PathBuf,
    /// The module.
    pub module: PathBuf,
    /// Where modules written by hand are put.
    folder: PathBuf,
    effort: Effort,
    progress: RefCell<Progress>,
    traffic: Traffic,
    /// Whether the module counts as an access logger.
    logs: bool,
}

// === impl Effort ===

impl Effort {
    /// Under two minutes.
    pub fn quick() -> Self {
        Self {
            generations: 1,
            rounds: 8,
            slice: Duration::from_millis(150),
            warm_up: Duration::from_millis(300),
            latency: Duration::from_millis(400),
            mounts: Vec::new(),
            operations: false,
            starts: 1,
            label_sets: vec![10, 20_000],
        }
    }

    /// A quarter of an hour.
    pub fn full() -> Self {
        Self {
            generations: 5,
            rounds: 10,
            slice: Duration::from_millis(400),
            warm_up: Duration::from_millis(1500),
            latency: Duration::from_secs(2),
            mounts: Vec::new(),
            operations: true,
            starts: 5,
            label_sets: vec![10, 100, 1000, 5000, 20_000],
        }
    }

    /// With all times so many times as long.
    pub fn scaled(self, scale: f64) -> Self {
        Self {
            slice: self.slice.mul_f64(scale),
            warm_up: self.warm_up.mul_f64(scale),
            latency: self.latency.mul_f64(scale),
            ..self
        }
    }
}

// === impl Bench ===

impl Bench {
    /// Looks first whether the module counts as an access logger.
    ///
    /// # Errors
    /// When Envoy does not start with the module.
    pub fn new(
        envoy: PathBuf,
        module: PathBuf,
        folder: &Path,
        effort: Effort,
        progress: Progress,
    ) -> Result<Self> {
        let mut bench = Self {
            envoy,
            module,
            folder: folder.to_owned(),
            effort,
            progress: RefCell::new(progress),
            traffic: Traffic::of_operations(Sender::Sidecar),
            logs: false,
        };
        bench.logs = bench.counts_as_logger()?;
        if !bench.logs {
            eprintln!("this module does not count as an access logger: those mounts are left out");
        }
        Ok(bench)
    }

    fn counts_as_logger(&self) -> Result<bool> {
        let mount = self.ours("probe", Place::Logger, PLAIN);
        Running::start(&mount, &self.envoy, 1, &self.traffic)?.counts()
    }

    /// The cheapest mount that the module counts in.
    fn best_place(&self) -> Place {
        if self.logs { Place::Logger } else { Place::Filter }
    }

    fn ours(&self, name: &str, place: Place, config: impl Into<String>) -> Mount {
        Mount::counting(name, place, self.module.clone(), config.into())
    }

    fn by_hand(&self, name: &str, place: Place, hand: &Hand) -> Result<Mount> {
        let file = self.folder.join(format!("{}.wasm", name.replace([' ', ','], "-")));
        std::fs::write(&file, hand.assemble()?)?;
        Ok(Mount::partial(name, place, file))
    }

    fn start<'m>(&self, mount: &'m Mount, traffic: &Traffic) -> Result<Running<'m>> {
        Running::start(mount, &self.envoy, 1, traffic)
    }

    fn phase(&self, name: &str) {
        self.progress.borrow_mut().phase(name);
    }

    fn step(&self, text: &str) {
        self.progress.borrow().step(text);
    }
}
