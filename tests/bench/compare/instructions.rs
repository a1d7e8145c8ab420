//! How many instructions a request takes, and how much code: counted by callgrind, the same on a busy machine as on a quiet one.

use super::Bench;
use crate::config::{Exchange, PLAIN, with};
use crate::hand::Hand;
use crate::mount::{Mount, Place};
use crate::running::Running;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a request takes of the worker's thread.
#[derive(Debug)]
pub struct Count {
    pub name: String,
    pub instructions: f64,
    /// Lines of 64 bytes of code, and of data, that a first-level cache did not hold.
    pub code: f64,
    pub data: f64,
}

/// Requests before anything is counted: callgrind is told to begin when all that is done once is done.
const WARM_UP: u64 = 1_500;
const COUNTED: u64 = 400;
/// What callgrind counts, in the order in which it tells.
const EVENTS: &str = "Ir Dr Dw I1mr D1mr D1mw";

// === impl Count ===

impl Count {
    /// Instructions, lines of code, lines of data.
    pub fn all(&self) -> [f64; 3] {
        [self.instructions, self.code, self.data]
    }
}

// === impl Bench ===

impl Bench {
    /// Counts the instructions of each mount.
    ///
    /// # Errors
    /// When valgrind is not there, or does not tell.
    pub fn instructions(&self) -> Result<Vec<Count>> {
        self.phase("instructions");
        ensure!(has_valgrind(), NO_VALGRIND);
        let logs = |expressions: &[&str]| Hand {
            expressions: expressions.iter().map(|text| (*text).to_owned()).collect(),
            ..Hand::default()
        };
        let exchange = with(Exchange::On, json!({}));
        let mounts = [
            Mount::none(1),
            Mount::native(),
            self.by_hand("access logger that does nothing", Place::Logger, &logs(&[]))?,
            self.by_hand("access logger with an empty list", Place::Logger, &logs(&["[]"]))?,
            self.ours("access logger", Place::Logger, PLAIN),
            self.by_hand("filter that does nothing", Place::Filter, &Hand::trivial())?,
            self.ours("filter", Place::Filter, PLAIN),
            self.ours("filter, exchange", Place::Filter, exchange),
        ];
        let mut counts = Vec::new();
        for (number, mount) in mounts.iter().enumerate() {
            self.step(&mount.name);
            let out = self.folder.join(format!("callgrind-{number}"));
            let envoy = counted_envoy(&self.envoy, &out)?;
            counts.push(self.count(mount, &envoy, &out).with_context(|| mount.name.clone())?);
        }
        Ok(counts)
    }

    fn count(&self, mount: &Mount, envoy: &Path, out: &Path) -> Result<Count> {
        let mut running = Running::start(mount, envoy, 1, &self.traffic)?;
        running.send(&self.traffic, WARM_UP)?;
        let process = running.proxies[0].id().to_string();
        control(&["--instr=on", &process])?;
        // Callgrind's model of the cache is cold.
        running.send(&self.traffic, COUNTED / 10)?;
        control(&["--zero", &process])?;
        running.send(&self.traffic, COUNTED)?;
        control(&["--dump", &process])?;
        let [instructions, _, _, code, reads, writes] = busiest_thread(out)?;
        let each = |count: u64| count as f64 / COUNTED as f64;
        Ok(Count {
            name: mount.name.clone(),
            instructions: each(instructions),
            code: each(code),
            data: each(reads + writes),
        })
    }
}

/// What there is to say where [`has_valgrind`] is not true.
pub const NO_VALGRIND: &str = "valgrind is missing (Debian: apt install valgrind)";

/// Whether instructions can be counted.
pub fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok()
}

/// A program that runs Envoy under callgrind.
fn counted_envoy(envoy: &Path, out: &Path) -> Result<PathBuf> {
    let program = out.with_extension("sh");
    let script = format!(
        "#!/bin/sh\nexec valgrind --quiet --tool=callgrind --instr-atstart=no --cache-sim=yes --separate-threads=yes \
         --callgrind-out-file='{}' '{}' \"$@\"\n",
        out.display(),
        envoy.display()
    );
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755))?;
    Ok(program)
}

fn control(arguments: &[&str]) -> Result<()> {
    let told = Command::new("callgrind_control").args(arguments).output()?;
    ensure!(told.status.success(), "callgrind: {}", String::from_utf8_lossy(&told.stderr));
    Ok(())
}

/// What the thread took that took most: each has a file of its own.
fn busiest_thread(out: &Path) -> Result<[u64; 6]> {
    let folder = out.parent().context("a folder")?;
    let prefix = out.file_name().context("a file")?.to_string_lossy().into_owned() + ".";
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
            && path.extension().is_none_or(|extension| extension != "sh")
        {
            threads.extend(counted(&String::from_utf8_lossy(&std::fs::read(&path)?)));
        }
    }
    threads.into_iter().max().context("callgrind counted nothing")
}

/// The totals in a file of callgrind's.
fn counted(text: &str) -> Option<[u64; 6]> {
    let line = |name| text.lines().find_map(|line| line.strip_prefix(name));
    if !line("events: ")?.starts_with(EVENTS) {
        return None;
    }
    let mut numbers = line("totals: ")?.split(' ').map_while(|number| number.parse().ok());
    let mut counts = [0; 6];
    for count in &mut counts {
        *count = numbers.next()?;
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read() {
        let text =
            "version: 1\nevents: Ir Dr Dw I1mr D1mr D1mw ILmr\nfn=(1)\ntotals: 9 8 7 6 5 4 3\n";
        assert_eq!(counted(text), Some([9, 8, 7, 6, 5, 4]));
        assert_eq!(counted("events: Ir\ntotals: 9\n"), None);
        assert_eq!(counted(""), None);
    }
}
