//! Progress on stderr.

use std::time::Instant;

/// Tells what is going on, and since when.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    phase: String,
}

// === impl Progress ===

impl Progress {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self { started: Instant::now(), phase: String::new() }
    }

    /// Another part begins.
    pub fn phase(&mut self, name: &str) {
        name.clone_into(&mut self.phase);
    }

    /// A step of it begins.
    pub fn step(&self, text: &str) {
        eprintln!("[{:4} s] {}: {text}", self.started.elapsed().as_secs(), self.phase);
    }
}
