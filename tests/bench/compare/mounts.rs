//! All mounts side by side.

use super::Bench;
use crate::config::{Exchange, PLAIN, many, three, with};
use crate::hand::Hand;
use crate::mount::{Mount, Place};
use crate::running::{Running, rounds};
use crate::sample::{Spread, differences, median, quantile, ratios, sorted};
use crate::traffic::{OPERATIONS, Sender, Traffic};
use anyhow::Result;
use serde_json::json;

/// Requests a second while latency is measured.
pub const RATE: u32 = 2000;

/// What was measured of each mount.
#[derive(Debug)]
pub struct Comparison {
    pub rows: Vec<Row>,
}

/// One mount.
#[derive(Debug, Default)]
pub struct Row {
    pub name: String,
    /// Whether nothing counts: what others are over.
    pub is_baseline: bool,
    /// CPU per request in each round, microseconds.
    pub cpu: Vec<f64>,
    /// The same, over no filter.
    pub over: Vec<f64>,
    /// Latencies, microseconds.
    latencies: Vec<f64>,
    /// Bytes resident with one worker, once per start.
    pub memory: Vec<f64>,
    /// The same with two workers; empty when it was not measured.
    pub memory_of_two: Vec<f64>,
    /// Seconds to the first answer.
    pub first_answer: Vec<f64>,
}

// === impl Comparison ===

impl Comparison {
    /// A mount by its name.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// One mount's overhead over another's: the ratio of the medians, and how it spread over the rounds.
    pub fn ratio(&self, name: &str, to: &str) -> Option<(f64, Spread)> {
        let (row, to) = (self.row(name)?, self.row(to)?);
        let ratio = row.overhead().middle / to.overhead().middle;
        Some((ratio, Spread::of(ratios(&row.over, &to.over))))
    }
}

// === impl Row ===

impl Row {
    /// CPU per request over no filter.
    pub fn overhead(&self) -> Spread {
        Spread::of(self.over.iter().copied())
    }

    /// A part of all latencies is at most this, in microseconds.
    pub fn latency(&self, part: f64) -> f64 {
        quantile(&sorted(self.latencies.iter().copied()), part)
    }

    /// Resident bytes that a second worker adds; `None` when it was not measured.
    pub fn second_worker(&self) -> Option<f64> {
        let two = self.memory_of_two.iter().copied();
        (!self.memory_of_two.is_empty()).then(|| median(two) - median(self.memory.iter().copied()))
    }
}

// === impl Bench ===

impl Bench {
    /// Compares all mounts.
    ///
    /// # Errors
    /// When one does not work.
    pub fn mounts(&self) -> Result<Comparison> {
        self.phase("mounts");
        let mounts = self.all_mounts()?;
        let mut rows: Vec<Row> = mounts.iter().map(Row::of).collect();
        let application = Traffic::of_operations(Sender::Application);
        for generation in 1..=self.effort.generations {
            self.step(&format!(
                "generation {generation} of {}: starting {} mounts",
                self.effort.generations,
                mounts.len()
            ));
            self.generation(&mounts, &application, &mut rows)?;
        }
        self.step("memory with two workers");
        for _ in 0..self.effort.starts {
            // What operations take is measured where they are configured.
            let plain = |mount: &Mount| mount.hops == 1 && !mount.name.contains("operations");
            for (mount, row) in mounts.iter().zip(&mut rows).filter(|(mount, _)| plain(mount)) {
                let mut running = Running::start(mount, &self.envoy, 2, &self.traffic)?;
                running.warm_up(&self.traffic, self.effort.slice)?;
                row.memory_of_two.push(running.memory()?);
            }
        }
        Ok(Comparison { rows })
    }

    fn all_mounts(&self) -> Result<Vec<Mount>> {
        let many = |exchange| with(exchange, many(OPERATIONS));
        let three = |exchange| with(exchange, three());
        let exchange = with(Exchange::On, json!({}));
        let ours = |name: &str, config: &str| self.ours(name, Place::Filter, config);
        let mut mounts = vec![
            Mount::none(1),
            self.by_hand("trivial Wasm filter", Place::Filter, &Hand::trivial())?,
            Mount::native(),
            ours("filter", PLAIN),
            ours("filter, 3 operations", &three(Exchange::Off)),
            ours("filter, 10,000 operations", &many(Exchange::Off)),
            ours("filter, exchange", &exchange),
            ours("filter, exchange, 3 operations", &three(Exchange::On)),
            ours("filter, exchange, 10,000 operations", &many(Exchange::On)),
        ];
        if self.logs {
            let ours = |name: &str, config: &str| self.ours(name, Place::Logger, config);
            mounts.extend([
                ours("access logger", PLAIN),
                ours("access logger, 3 operations", &three(Exchange::Off)),
                ours("access logger, 10,000 operations", &many(Exchange::Off)),
            ]);
        }
        mounts.push(Mount::none(2));
        mounts.push(ours("two hops: filter, exchange", &exchange).twice());
        let named = &self.effort.mounts;
        let mut is_wanted = |mount: &Mount| {
            named.is_empty() && (self.effort.operations || !mount.name.contains("operations"))
                || mount.name.ends_with("none")
                || named.iter().any(|name| mount.name.contains(name))
        };
        mounts.retain(&mut is_wanted);
        if !mounts.iter().any(|mount| mount.hops > 1 && !mount.name.ends_with("none")) {
            mounts.retain(|mount| mount.hops == 1);
        }
        Ok(mounts)
    }

    fn generation(&self, mounts: &[Mount], application: &Traffic, rows: &mut [Row]) -> Result<()> {
        let effort = &self.effort;
        let of = |mount: &Mount| if mount.hops == 1 { &self.traffic } else { application };
        let mut running = Vec::new();
        for (mount, row) in mounts.iter().zip(rows.iter_mut()) {
            let mut started = self.start(mount, of(mount))?;
            let first = started.proxies.iter().map(|proxy| proxy.first_answer.as_secs_f64());
            row.first_answer.push(first.sum());
            started.warm_up(of(mount), effort.warm_up)?;
            running.push(started);
        }
        let lanes: Vec<(usize, &Traffic)> = mounts.iter().map(of).enumerate().collect();
        let progress = self.progress.borrow();
        let cpu = rounds(effort.rounds, effort.slice, &lanes, &mut running, &progress)?;
        self.step("latency at a fixed rate");
        for (running, row) in running.iter_mut().zip(rows.iter_mut()) {
            let latencies = running.latencies(of(running.mount), RATE, effort.latency)?;
            row.latencies.extend(latencies);
            running.check()?;
            row.memory.push(running.memory()?);
        }
        for (index, (mount, row)) in mounts.iter().zip(rows).enumerate() {
            let same = mounts.iter().position(|m| m.hops == mount.hops).unwrap_or_default();
            row.over.extend(differences(&cpu[index], &cpu[same]));
            row.cpu.extend(&cpu[index]);
        }
        Ok(())
    }
}

impl Row {
    fn of(mount: &Mount) -> Self {
        let is_baseline = mount.name.ends_with("none");
        Self { name: mount.name.clone(), is_baseline, ..Self::default() }
    }
}
