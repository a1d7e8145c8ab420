//! A mesh: the control plane, and the two workloads that most tests use: productpage calls ratings.

mod istiod;

use crate::cases::counted::{Pair, REQUESTS, UPDATE};
use crate::kubernetes::{self, Kubectl};
use crate::network::make_node;
use crate::parts::Parts;
use crate::pod::{Pod, Workload};
use crate::process::{Server, run};
use crate::registry::{self, addressed};
use crate::wait::until;
use anyhow::{Context as _, Result};
use istiod::Istiod;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Everything that is written. `/run` is memory of this mesh's own namespace.
const WORK: &str = "/run/mesh";
/// Programs where the proxy's user can read them.
pub const BIN: &str = "/run/mesh/bin";
/// Istio's agent.
pub const AGENT: &str = "/run/mesh/bin/pilot-agent";
/// Envoy.
pub const ENVOY: &str = "/run/mesh/bin/envoy";
/// The module.
pub const MODULE: &str = "/run/mesh/bin/opmeter.wasm";

/// Where the logs of a failed run go, from the repository's root.
const KEPT_LOGS: &str = "target/istio/logs";

/// The running mesh.
#[derive(Debug)]
pub struct Mesh {
    /// Calls `ratings`.
    pub productpage: Pod,
    /// Is called.
    pub ratings: Pod,
    /// The client of the API server.
    pub kubectl: Kubectl,
    /// istiod.
    pub istiod: Istiod,
    /// None while it is down.
    registry: Option<Server>,
    parts: Parts,
    next_pod: u8,
    /// etcd and the API server, which end last.
    _servers: Vec<Server>,
}

/// Documents that are in force until this is dropped.
#[derive(Debug)]
pub struct Applied {
    kubectl: Kubectl,
    documents: String,
}

// === impl Mesh ===

impl Mesh {
    /// Starts everything, productpage and ratings included.
    ///
    /// # Errors
    /// What a step says.
    pub async fn start(parts: Parts) -> Result<Self> {
        let started = Instant::now();
        let work = Path::new(WORK);
        let logs = work.join("logs");
        fs::create_dir_all(&logs)?;
        bind(&parts)?;
        make_node()?;
        let result = Self::start_all(parts, work, &logs).await;
        if result.is_err() {
            keep_logs();
        }
        let mesh = result?;
        eprintln!("test-istio: the mesh runs after {:.0?}", started.elapsed());
        Ok(mesh)
    }

    async fn start_all(parts: Parts, work: &Path, logs: &Path) -> Result<Self> {
        let (kubectl, servers) = kubernetes::start(&parts, work, logs).await?;
        let registry = Some(registry::start(&parts, work, logs).await?);
        let istiod = Istiod::install(&parts, &kubectl, logs).await?;
        let pod = async |app, number| {
            let pod = Pod::start(Workload::new(app, "v1"), number, &kubectl, &parts, work).await;
            pod.with_context(|| format!("the pod of {app}"))
        };
        let (productpage, ratings) = (pod("productpage", 1).await?, pod("ratings", 2).await?);
        Ok(Self {
            productpage,
            ratings,
            kubectl,
            istiod,
            registry,
            parts,
            next_pod: 3,
            _servers: servers,
        })
    }

    /// productpage calls ratings.
    pub fn pair(&self) -> Pair<'_> {
        Pair::of(&self.productpage, &self.ratings)
    }

    /// Waits until nothing of an earlier test is left in the proxies and all requests are answered.
    ///
    /// # Errors
    /// When something is left for too long.
    pub async fn rest(&self) -> Result<()> {
        let pair = self.pair();
        // Of all types of messages for modules, discovered or not.
        pair.gone(".wasm.v3.").await?;
        until("answers", UPDATE, async || {
            let statuses = pair.client.get_times("/", REQUESTS).await?;
            Ok(statuses.iter().all(|status| *status == 200).then_some(()))
        })
        .await
    }

    /// Starts one more pod.
    ///
    /// # Errors
    /// What a step says.
    pub async fn pod(&mut self, workload: Workload) -> Result<Pod> {
        let number = self.next_pod;
        self.next_pod += 1;
        Pod::start(workload, number, &self.kubectl, &self.parts, Path::new(WORK)).await
    }

    /// Applies documents as they are shipped, with this mesh's registry; see [`Kubectl::apply`].
    ///
    /// # Errors
    /// What the API server or istiod's webhook says.
    pub fn apply(&self, documents: &str) -> Result<Applied> {
        let documents = addressed(documents);
        self.kubectl.apply(&documents)?;
        Ok(Applied { kubectl: self.kubectl.clone(), documents })
    }

    /// Puts an image of the layout into the registry under a tag.
    ///
    /// # Errors
    /// What skopeo says.
    pub fn push(&self, image: &str, tag: &str) -> Result<()> {
        registry::push(&self.parts, image, tag)
    }

    /// Ends the registry.
    pub fn stop_registry(&mut self) {
        self.registry = None;
    }

    /// Starts it again with what it had.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_registry(&mut self) -> Result<()> {
        let work = Path::new(WORK);
        self.registry = Some(registry::start(&self.parts, work, &work.join("logs")).await?);
        Ok(())
    }

    /// Keeps the logs, which else end with the mesh.
    pub fn keep_logs(&self) {
        keep_logs();
    }
}

// === impl Applied ===

impl Applied {
    /// Applies other documents that name the same objects.
    ///
    /// # Errors
    /// What the API server or istiod's webhook says.
    pub fn update(&mut self, documents: &str) -> Result<()> {
        self.documents = addressed(documents);
        self.kubectl.apply(&self.documents)
    }
}

impl Drop for Applied {
    fn drop(&mut self) {
        if let Err(error) = self.kubectl.delete(&self.documents) {
            eprintln!("test-istio: what was applied stays: {error:#}");
        }
    }
}

/// Makes the programs that pods run readable for their user, without copies.
fn bind(parts: &Parts) -> Result<()> {
    fs::create_dir_all(BIN)?;
    let agent = parts.program("pilot-agent");
    for (target, source) in [(AGENT, &agent), (ENVOY, &parts.envoy), (MODULE, &parts.module)] {
        File::create(target)?;
        run(Command::new("mount").arg("--bind").arg(source).arg(target), "")?;
    }
    fs::copy(parts.file("envoy_bootstrap.json"), PathBuf::from(BIN).join("envoy_bootstrap.json"))?;
    Ok(())
}

fn keep_logs() {
    let copied = run(Command::new("sh").arg("-c").arg(format!(
        "mkdir -p {KEPT_LOGS} && cp {WORK}/logs/*.log {KEPT_LOGS}/ && chmod a+r {KEPT_LOGS}/*.log"
    )), "");
    match copied {
        Ok(_) => eprintln!("test-istio: the logs are in {KEPT_LOGS}"),
        Err(error) => eprintln!("test-istio: the logs are lost: {error:#}"),
    }
}
