//! The module and the shipped manifests on a real Istio: Kubernetes' API server, istiod with its webhooks, Istio's agent and
//! its rules of iptables, a registry, and stock Envoys as sidecars and gateways.
//!
//! ```text
//! kubectl ─► API server ─► istiod ─► agent ─► Envoy with the module ─► application
//!                 │                    ▲
//!               etcd                registry
//! ```
//! A pod is a network namespace; see [`mesh`]. All of it runs in namespaces of its own, which end with the test, see
//! [`isolation`]. `make test-istio` gets the parts and sets the variables that [`parts`] reads; without them no test runs,
//! and each is reported as ignored.

mod applications;
mod cases;
mod client;
mod isolation;
mod kubernetes;
mod mesh;
mod network;
mod page;
mod parts;
mod pod;
mod process;
mod proxy;
mod registry;
mod wait;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use mesh::Mesh;
use parts::Parts;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;

/// The mesh, started by the first test that needs it. One test at a time has it.
#[derive(Clone, Debug)]
struct Shared {
    runtime: Arc<Runtime>,
    parts: Option<Parts>,
    mesh: Arc<Mutex<Option<Result<Mesh, String>>>>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The tests share the mesh's resources.
    arguments.test_threads = Some(1);
    let parts = match Parts::from_environment() {
        Ok(parts) => parts,
        Err(error) => {
            eprintln!("test-istio: {error:#}");
            return ExitCode::from(2);
        }
    };
    if parts.is_some() && !arguments.list && !isolation::is_isolated() {
        return isolation::run_isolated();
    }
    if parts.is_none() && !arguments.list {
        eprintln!("NOT RUN: OPMETER_ISTIO is not set; `make test-istio` sets it");
    }
    let runtime = Arc::new(Runtime::new().expect("a runtime"));
    let shared = Shared { runtime, parts, mesh: Arc::default() };
    libtest_mimic::run(&arguments, cases::trials(&shared)).exit_code()
}

// === impl Shared ===

impl Shared {
    /// A test on the running mesh; ignored where the parts are missing.
    fn trial<F>(&self, name: &str, test: F) -> Trial
    where
        F: AsyncFnOnce(&mut Mesh) -> Result<()> + Send + 'static,
    {
        let shared = self.clone();
        let run = move || {
            let mut mesh = shared.mesh.lock().map_err(|_| "an earlier test panicked")?;
            let started = mesh.get_or_insert_with(|| shared.start());
            let mesh = started.as_mut().map_err(|error| Failed::from(error.as_str()))?;
            let tested = shared.runtime.block_on(async {
                mesh.rest().await?;
                test(mesh).await
            });
            tested.map_err(|error| {
                mesh.keep_logs();
                format!("{error:#}").into()
            })
        };
        Trial::test(name, run).with_ignored_flag(self.parts.is_none())
    }

    fn start(&self) -> Result<Mesh, String> {
        let parts = self.parts.clone().ok_or("no parts")?;
        let started = self.runtime.block_on(Mesh::start(parts));
        started.map_err(|error| format!("the mesh does not start: {error:#}"))
    }
}
