//! What configuring many operations costs each VM.

use super::Bench;
use crate::config::{distinct, three};
use crate::running::Running;
use crate::sample::median;
use crate::traffic::OPERATIONS;
use anyhow::Result;

/// What 10,000 operations cost more than three.
#[derive(Clone, Copy, Debug)]
pub struct Configuring {
    /// CPU seconds of each worker's VM.
    pub seconds_per_vm: f64,
    /// Resident bytes of each worker's VM.
    pub bytes_per_vm: f64,
    /// Seconds by which the first answer of a proxy with one worker comes later.
    pub first_answer: f64,
}

/// Numbers of workers between which a worker's VM is measured: what is done once for all workers falls out.
const WORKERS: [usize; 2] = [1, 3];

/// What one start took.
#[derive(Clone, Copy, Debug)]
struct Start {
    cpu: f64,
    memory: f64,
    first_answer: f64,
}

// === impl Bench ===

impl Bench {
    /// Starts proxies with few and with many operations.
    ///
    /// # Errors
    /// When one does not answer.
    pub fn configuring(&self) -> Result<Configuring> {
        self.phase("configuring");
        let configs = [three(), distinct(OPERATIONS)].map(|config| config.to_string());
        let mounts = configs.map(|config| self.ours("operations", self.best_place(), config));
        let mut starts = [const { Vec::new() }; 4];
        for repetition in 1..=self.effort.starts.max(3) {
            self.step(&format!("start {repetition} of {}", self.effort.starts.max(3)));
            for (index, starts) in starts.iter_mut().enumerate() {
                let mount = &mounts[index / 2];
                let workers = WORKERS[index % 2];
                let running = Running::start(mount, &self.envoy, workers, &self.traffic)?;
                starts.push(Start {
                    cpu: running.proxies[0].first_cpu.as_secs_f64(),
                    memory: running.memory()?,
                    first_answer: running.proxies[0].first_answer.as_secs_f64(),
                });
            }
        }
        let per_vm = |of: fn(&Start) -> f64| {
            let middle = |index: usize| median(starts[index].iter().map(of));
            let vms = (WORKERS[1] - WORKERS[0]) as f64;
            ((middle(3) - middle(2)) - (middle(1) - middle(0))) / vms
        };
        let first = |index: usize| median(starts[index].iter().map(|start| start.first_answer));
        Ok(Configuring {
            seconds_per_vm: per_vm(|start| start.cpu),
            bytes_per_vm: per_vm(|start| start.memory),
            first_answer: first(2) - first(0),
        })
    }
}
