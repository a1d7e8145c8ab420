//! A child that cannot outlive its parent, whatever ends the parent.
//!
//! Rust can ask Linux for a signal at the parent's death only inside the child, and between fork and exec only from unsafe code.
//! So the child is this program first: it asks, then becomes the program it was told. The request survives the exec.

use std::io;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::args::GuardArgs;

/// Becomes `args.program`; returns only when that fails.
pub fn exec(args: &GuardArgs) -> Result<ExitCode> {
    end_with_parent(args.parent)?;
    let (program, rest) = args.program.split_first().context("no program given")?;
    let mut command = Command::new(program);
    command.args(rest);
    replace(&mut command).with_context(|| format!("cannot start {}", program.display()))
}

#[cfg(target_os = "linux")]
fn end_with_parent(parent: i32) -> Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // The parent may have gone before the request was made.
    let now = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    anyhow::ensure!(now == parent, "the process that started this one has ended");
    Ok(())
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "one signature on every system")]
fn end_with_parent(_parent: i32) -> Result<()> {
    Ok(())
}

#[cfg(unix)]
fn replace(command: &mut Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn replace(command: &mut Command) -> io::Result<ExitCode> {
    Ok(if command.status()?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
