//! What was measured on what.

use crate::compare::Bench;
use anyhow::{Context, Result};
use std::fs::read_to_string;
use std::process::Command;

/// Machine, Envoy and module, a line each.
///
/// # Errors
/// On anything but Linux.
pub fn describe(bench: &Bench) -> Result<Vec<String>> {
    let cpus = read_to_string("/proc/cpuinfo")?;
    let memory = read_to_string("/proc/meminfo")?;
    let kernel = read_to_string("/proc/sys/kernel/osrelease")?;
    let count = std::thread::available_parallelism()?;
    let gigabytes = field(&memory, "MemTotal")?.trim_end_matches("kB").trim().parse::<f64>()? / 1e6;
    let version = Command::new(&bench.envoy).arg("--version").output()?.stdout;
    let version = String::from_utf8_lossy(&version);
    let version = version.split("version:").nth(1).unwrap_or_default().trim();
    let size = std::fs::metadata(&bench.module)?.len();
    let load = read_to_string("/proc/loadavg")?;
    let load = load.split_whitespace().next().unwrap_or_default();
    Ok(vec![
        format!(
            "Machine: {}, {count} CPUs, {gigabytes:.0} GB, Linux {}",
            field(&cpus, "model name")?,
            kernel.trim()
        ),
        format!("Envoy: {version}"),
        format!("Module: {size} bytes"),
        format!("Load average before: {load}"),
    ])
}

fn field<'t>(text: &'t str, name: &str) -> Result<&'t str> {
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    Ok(value.with_context(|| format!("the system does not tell its {name}"))?.1.trim())
}
