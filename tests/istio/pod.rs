//! A pod: its objects in the API server, its network, and what runs in it.

mod objects;

use crate::applications::Application;
use crate::client::Client;
use crate::kubernetes::Kubectl;
use crate::mesh::{AGENT, MODULE};
use crate::network::Network;
use crate::page::Page;
use crate::parts::Parts;
use crate::process::{Server, run};
use crate::proxy::{self, PROXY_USER};
use crate::wait::until;
use anyhow::{Context as _, Result, ensure};
use objects::Objects;
use serde_json::Value;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

pub use objects::{HTTP_PORT, Workload};

/// Longest wait for a proxy to be ready.
const READY: Duration = Duration::from_secs(60);
/// Longest wait for what istiod writes.
const WRITTEN: Duration = Duration::from_secs(40);

/// A running pod; dropping it ends it and deletes its objects.
#[derive(Debug)]
pub struct Pod {
    /// What it was made from.
    pub workload: Workload,
    /// Its application; a gateway has none.
    pub application: Option<Application>,
    /// Address of its Service.
    pub service: SocketAddr,
    network: Arc<Network>,
    objects: Objects,
    kubectl: Kubectl,
    folder: PathBuf,
    logs: PathBuf,
    /// The agent, which runs Envoy.
    agent: Option<Server>,
}

// === impl Pod ===

impl Pod {
    /// Makes the objects and starts what runs in it, until the proxy is ready.
    ///
    /// # Errors
    /// What a step says.
    pub async fn start(
        workload: Workload,
        number: u8,
        kubectl: &Kubectl,
        parts: &Parts,
        work: &Path,
    ) -> Result<Self> {
        let network = Arc::new(Network::make(number)?);
        let objects = Objects::make(&workload, number, &network.address);
        let service = objects.service_address()?;
        objects.create(kubectl)?;
        let application = match workload.is_gateway {
            true => None,
            false => Some(Application::start(&network, HTTP_PORT)?),
        };
        let folder = work.join("pods").join(&objects.name);
        let (kubectl, logs) = (kubectl.clone(), work.join("logs"));
        let mut pod = Self {
            workload,
            application,
            service,
            network,
            objects,
            kubectl,
            folder,
            logs,
            agent: None,
        };
        pod.capture_traffic(parts)?;
        pod.start_proxy().await?;
        Ok(pod)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.objects.name
    }

    /// A client in this pod of another pod's Service.
    pub fn client_of(&self, other: &Self) -> Client {
        self.client(other.service, &format!("{}:{HTTP_PORT}", other.workload.app))
    }

    /// A client in this pod.
    pub fn client(&self, to: SocketAddr, host: &str) -> Client {
        Client { from: Some(Arc::clone(&self.network)), to, host: host.to_owned() }
    }

    /// What Envoy tells on its port for Prometheus.
    ///
    /// # Errors
    /// No page.
    pub async fn scrape(&self) -> Result<Page> {
        self.scrape_port(15090).await
    }

    /// The page of another port: 15020 is the agent's, merged with the application's own metrics.
    ///
    /// # Errors
    /// No page.
    pub async fn scrape_port(&self, port: u16) -> Result<Page> {
        Page::parse(&self.node_client(port)?.page("/stats/prometheus").await?)
    }

    /// A page of Envoy's admin.
    ///
    /// # Errors
    /// No page.
    pub async fn admin(&self, path: &str) -> Result<String> {
        self.client(SocketAddr::from(([127, 0, 0, 1], 15000)), "localhost").page(path).await
    }

    /// The listeners that take new connections. Those that were replaced stay for Envoy's drain time, 45 s.
    ///
    /// # Errors
    /// No page.
    pub async fn listeners(&self) -> Result<String> {
        self.admin("/config_dump?resource=dynamic_listeners&mask=active_state").await
    }

    /// Ends the proxy at once and starts it again, as a restarted container.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.agent = None;
        self.start_proxy().await
    }

    /// A client on the node of one of the pod's own ports.
    ///
    /// # Errors
    /// None for addresses of pods.
    pub fn node_client(&self, port: u16) -> Result<Client> {
        Ok(Client::of_node(format!("{}:{port}", self.network.address).parse()?))
    }

    /// Has the injected init container's command write the rules that lead all connections through Envoy.
    fn capture_traffic(&self, parts: &Parts) -> Result<()> {
        let pod = self.objects.get(&self.kubectl)?;
        let Ok(init) = proxy::container(&pod, "istio-init") else {
            ensure!(
                self.workload.is_gateway,
                "istiod's webhook has injected nothing into {}",
                self.name()
            );
            return Ok(());
        };
        let tables = parts.folder.join("iptables");
        let path = format!("{}:{}", tables.join("sbin").display(), std::env::var("PATH")?);
        let libraries = tables.join("lib");
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.network.path())).arg(AGENT);
        command.args(init["args"].as_array().into_iter().flatten().filter_map(Value::as_str));
        command.env("PATH", path).env("XTABLES_LIBDIR", libraries.join("xtables"));
        command.env("LD_LIBRARY_PATH", libraries);
        run(&mut command, "").map(drop)
    }

    async fn start_proxy(&mut self) -> Result<()> {
        let pod = self.objects.get(&self.kubectl)?;
        let container = proxy::container(&pod, "istio-proxy")?;
        let environment = proxy::environment(&pod, container, &self.folder)?;
        self.write_files(&pod).await?;
        let log = self.logs.join(format!("{}.log", self.name()));
        // Envoy opens /dev/stdout anew for its access log.
        chown(
            File::options().create(true).append(true).open(&log).map(|_| &log)?,
            Some(PROXY_USER),
            None,
        )?;
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.network.path()))
            .args(["unshare", "--mount", "sh", "-c"]);
        command.args([proxy::ENTER, "sh"]).arg(&self.folder).arg(MODULE);
        command.args(proxy::command(container, &environment)).env_clear().envs(&environment);
        self.agent = Some(Server::start(self.name(), &mut command, &self.logs)?);
        let health = self.node_client(15021)?;
        let ready =
            until("the proxy", READY, async || health.page("/healthz/ready").await.map(Some));
        let ready = ready.await.map(drop);
        let last_words = || self.agent.as_ref().map(Server::last_words).unwrap_or_default();
        ready.with_context(|| format!("{} is not ready: {}", self.name(), last_words()))
    }

    /// What a kubelet would mount: names, labels, istiod's root certificate, a token.
    async fn write_files(&self, pod: &Value) -> Result<()> {
        for folder in
            ["var/run/secrets/istio", "var/run/secrets/tokens", "etc/istio/pod", "etc/istio/proxy"]
        {
            fs::create_dir_all(self.folder.join(folder))?;
        }
        let namespace = &self.workload.namespace;
        let write = |path: &str, text: &str| fs::write(self.folder.join(path), text);
        write("etc/hosts", &proxy::hosts())?;
        write("etc/resolv.conf", "nameserver 127.0.0.1\n")?;
        write("etc/istio/pod/labels", &proxy::downward(&pod["metadata"]["labels"]))?;
        write("etc/istio/pod/annotations", &proxy::downward(&pod["metadata"]["annotations"]))?;
        let root = until("istiod's root certificate", WRITTEN, async || {
            let map = self.kubectl.get("configmap", "istio-ca-root-cert", namespace)?;
            Ok(map["data"]["root-cert.pem"].as_str().map(str::to_owned))
        });
        write("var/run/secrets/istio/root-cert.pem", &root.await?)?;
        write("var/run/secrets/tokens/istio-token", &self.objects.token(&self.kubectl, pod)?)?;
        let user = PROXY_USER.to_string();
        run(Command::new("chown").arg("-R").arg(format!("{user}:{user}")).arg(&self.folder), "")
            .map(drop)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.agent = None;
        // A later pod of this name would be another one; a server that is gone has nothing to delete.
        let _ = self.objects.delete(&self.kubectl);
    }
}
