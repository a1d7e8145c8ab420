//! An Envoy that is followed by another one, which takes over its sockets and statistics (hot restart).

use super::{Envoy, spawn};
use crate::http;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The file that tells which Envoys belong together.
const BASE: &str = "base-id";

/// When the one that goes is told to end: after its drain.
const DRAIN: [&str; 2] = ["--parent-shutdown-time-s", "3"];

/// Longest wait for it to end.
const END: Duration = Duration::from_secs(20);

/// An Envoy that has a successor.
#[derive(Debug)]
pub struct Parent(Child);

// === impl Envoy ===

impl Envoy {
    /// Starts one that can be followed.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start_first(
        binary: &Path,
        folder: TempDir,
        bootstrap: &Value,
        workers: u32,
    ) -> Result<Self> {
        std::fs::write(folder.path().join("envoy.json"), bootstrap.to_string())?;
        let workers = workers.to_string();
        let base = ["--use-dynamic-base-id", "--base-id-path", BASE];
        let arguments = [&arguments(&workers)[..], &base, &DRAIN].concat();
        let process = spawn(binary, folder.path(), &arguments)?;
        Ok(Self::of(process, folder))
    }

    /// Starts its successor and waits until that accepts. From then on this is the successor.
    ///
    /// # Errors
    /// When the successor does not come up.
    pub async fn restart(&mut self, binary: &Path, workers: u32) -> Result<Parent> {
        let base = std::fs::read_to_string(self.folder.path().join(BASE))?;
        let workers = workers.to_string();
        let base = ["--base-id", base.trim(), "--restart-epoch", "1"];
        let arguments = [&arguments(&workers)[..], &base, &DRAIN].concat();
        let successor = spawn(binary, self.folder.path(), &arguments)?;
        let parent = Parent(std::mem::replace(&mut self.process, successor));
        self.wait_for_second().await?;
        ensure!(self.wait_until_up().await?, "the successor ended:\n{}", self.log()?);
        Ok(parent)
    }

    /// The first one answers on the admin's socket until the second one takes it.
    async fn wait_for_second(&mut self) -> Result<()> {
        let deadline = Instant::now() + END;
        let admin = self.folder.path().join("admin");
        loop {
            let told = http::get_unix(&admin, "/server_info").await.unwrap_or_default();
            let told: Value = serde_json::from_str(&told).unwrap_or_default();
            if told["command_line_options"]["restart_epoch"] == 1 {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "no successor:\n{}", self.log()?);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

// === impl Parent ===

impl Parent {
    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ended(mut self) -> Result<()> {
        let deadline = Instant::now() + END;
        while self.0.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "the first one stays");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let status = self.0.try_wait()?.context("it has ended")?;
        ensure!(status.success(), "the first one ended with {status}");
        Ok(())
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn arguments(workers: &str) -> [&str; 4] {
    ["--config-path", "envoy.json", "--concurrency", workers]
}
