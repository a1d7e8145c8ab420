//! Namespaces of its own for a whole mesh: network, mounts, processes.
//!
//! The test starts itself again in them. Ports and addresses then meet nobody else's, `/run` is memory, and when the first
//! process of the namespace ends, however that happens, the kernel ends all others and drops mounts, links and files.

use anyhow::{Context, Result};
use std::process::ExitCode;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// Set for the second start.
const MARK: &str = "OPMETER_ISTIO_ISOLATED";

/// What comes before the test in its namespaces.
const SETUP: &str =
    "mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up && exec \"$@\"";

/// Whether this process runs in them.
pub fn is_isolated() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs this program with the same arguments in namespaces of its own and gives its exit code.
pub fn run_isolated() -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        eprintln!("test-istio: network namespaces, mounts and iptables need root");
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("no runtime").and_then(|runtime| runtime.block_on(run())) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("test-istio: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<u8> {
    // The kernel kills unshare when this process dies, and with it the namespace's first process, and so on.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork"]);
    command.args(["--kill-child", "--mount-proc", "sh", "-c", SETUP, "sh"]);
    command.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(MARK, "1");
    let mut child = command.kill_on_drop(true).spawn().context("no setpriv of util-linux")?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        status = child.wait() => return Ok(status?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2)),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    child.kill().await?;
    Ok(130)
}
