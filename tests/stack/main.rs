//! Prometheus, rules and dashboards against a real mesh: a real Prometheus scrapes real Envoys under known traffic.
//!
//! ```text
//! client over mutual TLS -> [productpage-v1] ─┐
//!                                             ├─> [ratings-v1: plain text or TLS] -> HTTP, gRPC and TCP applications
//! client over plain text -> [storefront-v1] ──┘
//!        all three <- Prometheus (its rules) <- a federating Prometheus
//! ```
//! What must not happen there happens in a second mesh, see [`trouble`].
//!
//! The mesh is started once; each expression is a test of its own. `cargo test --test stack -- kiali::` runs some,
//! `-- --list` shows all.

mod application;
mod compose;
mod dashboards;
mod federation;
mod files;
mod manifests;
mod mesh;
mod needs;
mod numbers;
mod pager;
mod rules;
mod traffic;
mod trouble;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use mesh::Stack;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use support::{envoy, prometheus};
use tokio::runtime::Runtime;

/// The running stack, started by the first test that needs it.
#[derive(Clone, Debug)]
struct Shared {
    runtime: Arc<Runtime>,
    stack: Arc<OnceLock<Result<Option<Arc<Stack>>, String>>>,
}

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime");
    let shared = Shared { runtime: Arc::new(runtime), stack: Arc::default() };
    let mut trials = files::trials();
    trials.extend(manifests::trials());
    trials.extend(compose::trials());
    trials.extend(rules::trials(&shared));
    trials.extend(numbers::trials(&shared));
    trials.extend(needs::trials(&shared));
    trials.extend(dashboards::trials(&shared));
    trials.extend(federation::trials(&shared));
    trials.extend(trouble::trials(&shared));
    trials.extend(pager::trials(&shared));
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    // What was started ends before the process does.
    drop(shared);
    conclusion.exit_code()
}

// === impl Shared ===

impl Shared {
    /// A test of the running stack.
    fn trial<F, A>(&self, name: impl Into<String>, test: F) -> Trial
    where
        F: FnOnce(Arc<Stack>) -> A + Send + 'static,
        A: Future<Output = Result<()>>,
    {
        let shared = self.clone();
        Trial::test(name, move || {
            let started = shared.stack.get_or_init(|| shared.start());
            let Some(stack) = started.as_ref().map_err(Failed::from)? else { return Ok(()) };
            let tested = shared.runtime.block_on(test(Arc::clone(stack)));
            tested.map_err(|error| format!("{error:#}").into())
        })
    }

    /// A test with servers of its own, whose start would disturb the traffic that is measured: it waits for that one's end.
    fn alone<F, A>(&self, name: &str, test: F) -> Trial
    where
        F: FnOnce(PathBuf, PathBuf) -> A + Send + 'static,
        A: Future<Output = Result<()>>,
    {
        let shared = self.clone();
        Trial::test(name, move || {
            shared.stack.get_or_init(|| shared.start()).as_ref().map_err(Failed::from)?;
            let (Some(envoy), Some(prometheus)) = (envoy::binary()?, prometheus::binary()?) else {
                return Ok(());
            };
            let tested = shared.runtime.block_on(test(envoy, prometheus));
            tested.map_err(|error| format!("{error:#}").into())
        })
    }

    fn start(&self) -> Result<Option<Arc<Stack>>, String> {
        let (Some(envoy), Some(prometheus)) = (envoy::binary()?, prometheus::binary()?) else {
            return Ok(None);
        };
        let stack = self.runtime.block_on(Stack::start(&envoy, &prometheus));
        let stack = stack.map_err(|error| format!("the stack does not start: {error:#}"))?;
        Ok(Some(Arc::new(stack)))
    }
}
