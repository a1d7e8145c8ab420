//! Kubernetes' API server on etcd, and kubectl. There is no kubelet and no controller: the tests write what those would.

use crate::network::NODE;
use crate::parts::Parts;
use crate::process::{Server, run};
use crate::wait::until;
use anyhow::{Context, Result};
use rcgen::KeyPair;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const START: Duration = Duration::from_secs(120);

const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEERS: &str = "http://127.0.0.1:2380";

/// Whoever has the token may do anything.
const TOKENS: &str = "admin,admin,admin,\"system:masters\"\n";
const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
clusters: [{name: mesh, cluster: {server: 'https://127.0.0.1:6443', insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: admin}}]
contexts: [{name: admin, context: {cluster: mesh, user: admin}}]
current-context: admin
";

/// The client of the API server.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    /// How to reach the server.
    pub config: PathBuf,
    /// A home for caches.
    home: PathBuf,
}

/// Starts etcd and the API server.
///
/// # Errors
/// When they do not come up.
pub async fn start(parts: &Parts, work: &Path, logs: &Path) -> Result<(Kubectl, Vec<Server>)> {
    let keys = KeyPair::generate()?;
    let write = |name: &str, text: &str| -> Result<PathBuf> {
        let path = work.join(name);
        fs::write(&path, text)?;
        Ok(path)
    };
    let private = write("accounts.key", &keys.serialize_pem())?;
    let public = write("accounts.pub", &keys.public_key_pem())?;
    let tokens = write("tokens.csv", TOKENS)?;
    let config = write("kubeconfig", KUBECONFIG)?;
    let kubectl = Kubectl { program: parts.program("kubectl"), config, home: work.to_owned() };

    let mut etcd = Command::new(parts.program("etcd"));
    etcd.arg("--data-dir").arg(work.join("etcd")).args(["--unsafe-no-fsync"]);
    etcd.args(["--listen-client-urls", ETCD, "--advertise-client-urls", ETCD]);
    etcd.args(["--listen-peer-urls", ETCD_PEERS]);
    let etcd = Server::start("etcd", &mut etcd, logs)?;

    let mut server = Command::new(parts.program("kube-apiserver"));
    server.args(["--etcd-servers", ETCD, "--secure-port", "6443", "--bind-address", "127.0.0.1"]);
    server.args(["--advertise-address", NODE, "--service-cluster-ip-range", "10.96.0.0/16"]);
    server.arg("--cert-dir").arg(work.join("certificates"));
    server.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
    server.arg("--service-account-key-file").arg(public);
    server.arg("--service-account-signing-key-file").arg(private);
    server.arg("--token-auth-file").arg(tokens).args(["--authorization-mode", "RBAC"]);
    // This plug-in waits for tokens that a controller would make.
    server.args(["--disable-admission-plugins", "ServiceAccount"]);
    let server = Server::start("kube-apiserver", &mut server, logs)?;
    until("the API server", START, async || {
        kubectl.run(&["get", "namespace", "default"]).map(Some)
    })
    .await
    .with_context(|| server.last_words())?;
    Ok((kubectl, vec![etcd, server]))
}

// === impl Kubectl ===

impl Kubectl {
    /// Runs it with arguments.
    ///
    /// # Errors
    /// What it says.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.with_input(arguments, "")
    }

    /// Applies documents as a user does; fields that the API does not know are errors.
    ///
    /// # Errors
    /// What the API server or a webhook of istiod says.
    pub fn apply(&self, documents: &str) -> Result<()> {
        self.with_input(&["apply", "--validate=strict", "-f", "-"], documents).map(drop)
    }

    /// Applies documents with many bytes, which a client-side `apply` would have to repeat in an annotation.
    ///
    /// # Errors
    /// What the API server says.
    pub fn apply_large(&self, documents: &str) -> Result<()> {
        let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.with_input(&arguments, documents).map(drop)
    }

    /// Writes an object in the place of the one that is there.
    ///
    /// # Errors
    /// What the API server says.
    pub fn replace(&self, object: &Value) -> Result<()> {
        self.with_input(&["replace", "-f", "-"], &object.to_string()).map(drop)
    }

    /// Deletes what the documents name, as far as it is there.
    ///
    /// # Errors
    /// What the API server says.
    pub fn delete(&self, documents: &str) -> Result<()> {
        let arguments = ["delete", "--ignore-not-found", "--wait=false", "-f", "-"];
        self.with_input(&arguments, documents).map(drop)
    }

    /// An object.
    ///
    /// # Errors
    /// When it is not there.
    pub fn get(&self, kind: &str, name: &str, namespace: &str) -> Result<Value> {
        let text = self.run(&["get", kind, name, "--namespace", namespace, "--output", "json"])?;
        Ok(serde_json::from_str(&text)?)
    }

    fn with_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.config).args(arguments).env("HOME", &self.home);
        run(&mut command, input)
    }
}
