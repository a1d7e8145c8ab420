//! istiod: Istio's resources as `istioctl` makes them, and the program outside of a pod.

use crate::client::Client;
use crate::kubernetes::Kubectl;
use crate::parts::Parts;
use crate::process::{Server, run};
use crate::wait::until;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const START: Duration = Duration::from_secs(90);

/// Installed as a user does it: the mesh configuration of the tests, and the one that is shipped.
const INSTALLED: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/istio/stock.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../istio-manifests/base/tags.yaml"),
];

/// What keeps Istio's own extensions away from Envoys that have none.
const WITHOUT_EXTENSIONS: &str = include_str!("../without-extensions.yaml");

/// Istio's webhooks: the one that writes sidecars into pods, and the one that refuses resources.
const WEBHOOKS: [(&str, &str); 2] = [
    ("mutatingwebhookconfiguration", "istio-sidecar-injector"),
    ("validatingwebhookconfiguration", "istio-validator-istio-system"),
];

/// istiod's environment: that of its container, and what an Envoy without Istio's extensions needs.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("PILOT_ENABLE_ALPN_FILTER", "false"),
    ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
    ("POD_NAMESPACE", "istio-system"),
    ("POD_NAME", "istiod-0"),
    ("REVISION", "default"),
    ("CLUSTER_ID", "Kubernetes"),
    ("PILOT_CERT_PROVIDER", "istiod"),
    // The webhooks' certificate has to name the address below.
    ("ISTIOD_CUSTOM_HOST", "127.0.0.1"),
];

/// istiod and how to start it again.
#[derive(Debug)]
pub struct Istiod {
    server: Option<Server>,
    program: PathBuf,
    config: PathBuf,
    logs: PathBuf,
}

// === impl Istiod ===

impl Istiod {
    /// Writes Istio's resources into the API server and starts istiod.
    ///
    /// # Errors
    /// What a step says.
    pub async fn install(parts: &Parts, kubectl: &Kubectl, logs: &Path) -> Result<Self> {
        kubectl.apply_large(&std::fs::read_to_string(parts.file("gateway-api-crd.yaml"))?)?;
        kubectl.run(&["create", "namespace", "istio-system"])?;
        let mut generate = Command::new(parts.program("istioctl"));
        generate.args(["manifest", "generate"]).env("HOME", logs);
        for file in INSTALLED {
            generate.args(["--filename", file]);
        }
        generate.env("KUBECONFIG", &kubectl.config);
        kubectl.apply_large(&run(&mut generate, "")?)?;
        for (kind, name) in WEBHOOKS {
            reach_outside(kubectl, kind, name)?;
        }
        let (program, config) = (parts.program("pilot-discovery"), kubectl.config.clone());
        let mut istiod = Self { server: None, program, config, logs: logs.to_owned() };
        istiod.start().await?;
        until("istiod's webhooks", START, async || {
            has_certificate(kubectl).map(|has| has.then_some(()))
        })
        .await?;
        kubectl.run(&["label", "namespace", "default", "istio-injection=enabled"])?;
        until("istiod's validation", START, async || kubectl.apply(WITHOUT_EXTENSIONS).map(Some))
            .await?;
        Ok(istiod)
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["discovery", "--monitoringAddr", "127.0.0.1:15014", "--kubeconfig"]);
        command.arg(&self.config);
        for (name, value) in ENVIRONMENT {
            command.env(name, value);
        }
        let server = self.server.insert(Server::start("istiod", &mut command, &self.logs)?);
        let ready = Client::of_node(SocketAddr::from(([127, 0, 0, 1], 8080)));
        until("istiod", START, async || ready.page("/ready").await.map(Some))
            .await
            .with_context(|| server.last_words())
            .map(drop)
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// What it said.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }
}

/// Leads a configuration's webhooks to istiod outside of the cluster: there is no Service to reach.
fn reach_outside(kubectl: &Kubectl, kind: &str, name: &str) -> Result<()> {
    let mut configuration = kubectl.get(kind, name, "default")?;
    let webhooks = configuration["webhooks"].as_array_mut().context("no webhooks")?;
    for webhook in webhooks {
        let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap_or_default();
        let url = format!("https://127.0.0.1:15017{path}");
        webhook["clientConfig"] = json!({"url": url});
        // Of Istio's two configurations for validation, one for each kind of installation, this one has to take all objects.
        if kind.starts_with("validating") {
            webhook["objectSelector"] = json!({});
        }
    }
    configuration["metadata"]["managedFields"] = Value::Null;
    kubectl.replace(&configuration)
}

/// Whether istiod has given the webhooks its certificate.
fn has_certificate(kubectl: &Kubectl) -> Result<bool> {
    let mut all = true;
    for (kind, name) in WEBHOOKS {
        let configuration = kubectl.get(kind, name, "default")?;
        let webhooks = configuration["webhooks"].as_array().context("no webhooks")?;
        all &= webhooks.iter().all(|webhook| webhook["clientConfig"]["caBundle"].is_string());
    }
    Ok(all)
}
