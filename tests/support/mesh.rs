//! Two workloads of a mesh and their sidecars, each a real Envoy with the module: productpage calls ratings.
//!
//! ```text
//! client -> [productpage-v1: OUTBOUND, reporter source] -> [ratings-v1: INBOUND, reporter destination] -> application
//! ```

mod bootstrap;

use crate::case::Side;
use crate::envoy::tls::Identity;
use crate::envoy::{self, Envoy};
use crate::module;
use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use prost_types::Struct;
use prost_types::value::Kind;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Identity of productpage's certificate.
pub const PRODUCTPAGE: &str = "spiffe://cluster.local/ns/default/sa/productpage";
/// Identity of ratings' certificate.
pub const RATINGS: &str = "spiffe://cluster.local/ns/shop/sa/ratings";

/// Name of the listener for TCP connections; that for HTTP is [`Envoy::traffic_port`].
pub const TCP_LISTENER: &str = "tcp";

/// A sidecar to be started.
#[derive(Clone, Debug)]
pub struct Sidecar {
    /// How many workers it has.
    pub workers: u32,
    /// What of it comes from a file, so that it can be updated.
    pub updates: Updates,
    /// Which way its listeners look.
    pub side: Side,
    /// `node` of the bootstrap.
    pub node: Value,
    /// The module.
    pub module: PathBuf,
    /// Fields of the plugin (Envoy's `PluginConfig`) beside its code and configuration.
    pub plugin: Map<String, Value>,
    /// The module's configuration for HTTP.
    pub config: String,
    /// The module's configuration for TCP.
    pub tcp_config: String,
    /// Whether the module is a filter of both listeners.
    pub filter: bool,
    /// The module as access logger of both listeners; none without.
    pub log: Option<Log>,
    /// Labels of metrics beyond the standard ones.
    pub dimensions: Vec<String>,
    /// Metadata `istio` of the clusters: their service.
    pub istio_metadata: Value,
    /// Metadata `istio.workload` of the endpoints.
    pub endpoint_workload: Option<String>,
    /// Identities of the connections it accepts.
    pub accepts: Accepts,
    /// Certificates of the connections it makes: its own and the one it expects. Plain text without.
    pub connects: Option<Certificates>,
    /// Port on the loopback address that HTTP goes to.
    pub upstream: u16,
    /// Routes tried before the one that takes everything to `upstream`.
    pub routes: Vec<Value>,
    /// Clusters for HTTP beside `http`: their names, and ports on the loopback address.
    pub clusters: Vec<(String, u16)>,
    /// Port on the loopback address that TCP goes to; no listener for TCP without.
    pub tcp_upstream: Option<u16>,
    /// Listeners of every direction beside it.
    pub beside: Option<Beside>,
}

/// Listeners for HTTP of every direction in one Envoy, with the filter as the sidecar has it: they share its configuration.
///
/// Their names are those of [`Side`]. They and the sidecar's own deal out their connections to the workers in turn.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// Port on the loopback address that all of them go to.
    pub application: u16,
    /// Port of the inbound one; any if 0.
    pub inbound_port: u16,
}

/// What can be updated while an Envoy runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Updates {
    /// Nothing.
    #[default]
    None,
    /// The listener for HTTP, from a file (LDS).
    Listener,
    /// The module's configuration as a filter of that listener, from a file (ECDS).
    Filter,
}

/// The module as access logger.
#[derive(Clone, Debug)]
pub struct Log {
    /// Its configuration.
    pub config: String,
    /// `vm_id`: another than the filter's, which is empty, is a VM of its own.
    pub vm_id: String,
    /// `access_log_options` of the HTTP connection manager.
    pub http_options: Value,
    /// `access_log_options` of the TCP proxy.
    pub tcp_options: Value,
    /// Whether the listener for HTTP itself writes entries too, one for each connection.
    pub of_listener: bool,
}

/// What connections a sidecar accepts.
#[derive(Clone, Debug, Default)]
pub enum Accepts {
    /// Plain text.
    #[default]
    Plain,
    /// Mutual TLS.
    MutualTls(Certificates),
    /// Either, told apart by the first bytes, as in Istio's mode `PERMISSIVE`.
    Permissive(Certificates),
}

/// Both ends of a mutual TLS connection.
#[derive(Clone, Debug)]
pub struct Certificates {
    local: Identity,
    peer: Identity,
}

/// A client's sidecar before a server's.
#[derive(Debug)]
pub struct Pair {
    /// Of productpage.
    pub client: Envoy,
    /// Of ratings.
    pub server: Envoy,
}

// === impl Sidecar ===

impl Sidecar {
    /// The sidecar of productpage, outbound to a port.
    pub fn productpage(upstream: u16) -> Self {
        let labels = json!({
            "app": "productpage",
            "version": "v1",
            "service.istio.io/canonical-name": "productpage-service",
            "service.istio.io/canonical-revision": "r1",
        });
        let node = node("productpage-v1", "default", "client-cluster", &labels);
        Self::new(Side::Outbound, node, upstream)
    }

    /// The sidecar of ratings, inbound to a port.
    pub fn ratings(upstream: u16) -> Self {
        let labels = json!({
            "app": "ratings",
            "version": "v2",
            "service.istio.io/canonical-name": "ratings-service",
            "service.istio.io/canonical-revision": "r2",
        });
        let node = node("ratings-v1", "shop", "server-cluster", &labels);
        Self::new(Side::Inbound, node, upstream)
    }

    fn new(side: Side, node: Value, upstream: u16) -> Self {
        Self {
            workers: 1,
            updates: Updates::None,
            side,
            node,
            module: module::path().to_owned(),
            plugin: Map::new(),
            config: r#"{"metadata_exchange":{}}"#.to_owned(),
            tcp_config: String::new(),
            filter: true,
            log: None,
            dimensions: Vec::new(),
            istio_metadata: json!({ "services": [{
                "host": "ratings.shop.svc.cluster.local",
                "name": "ratings",
                "namespace": "shop",
            }] }),
            endpoint_workload: None,
            accepts: Accepts::Plain,
            connects: None,
            upstream,
            routes: Vec::new(),
            clusters: Vec::new(),
            tcp_upstream: None,
            beside: None,
        }
    }

    /// Starts an Envoy and waits until it accepts.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(&self, binary: &Path) -> Result<Envoy> {
        let folder = envoy::folder()?;
        let bootstrap = bootstrap::build(self, folder.path());
        bootstrap::write_updates(self, folder.path())?;
        let mut envoy = Envoy::start(binary, folder, &bootstrap, self.workers)?;
        ensure!(envoy.wait_until_up().await?, "Envoy ended:\n{}", envoy.log()?);
        Ok(envoy)
    }

    /// Starts one that can be followed by another (hot restart), whose sockets it then gets: on `port`, which has to be free.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_first(&self, binary: &Path, port: u16) -> Result<Envoy> {
        let folder = envoy::folder()?;
        let mut bootstrap = bootstrap::build(self, folder.path());
        bootstrap::listen_on(&mut bootstrap, "entry", port);
        let mut envoy = Envoy::start_first(binary, folder, &bootstrap, self.workers)?;
        ensure!(envoy.wait_until_up().await?, "Envoy ended:\n{}", envoy.log()?);
        Ok(envoy)
    }

    /// Gives a running Envoy what can be updated as it is now. Its port stays.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn update(&self, envoy: &Envoy) -> Result<()> {
        bootstrap::write_updates(self, envoy.folder())
    }
}

// === impl Log ===

impl Log {
    /// One in the VM of the filter, without options.
    pub fn new(config: &str) -> Self {
        Self {
            config: config.to_owned(),
            vm_id: String::new(),
            http_options: json!({}),
            tcp_options: json!({}),
            of_listener: false,
        }
    }
}

// === impl Certificates ===

impl Certificates {
    /// New ones, with these identities.
    ///
    /// # Errors
    /// When an identity is not ASCII.
    pub fn new(local: &str, peer: &str) -> Result<Self> {
        Ok(Self { local: Identity::new(local)?, peer: Identity::new(peer)? })
    }

    /// The same connection seen from its other end.
    #[must_use]
    pub fn other_end(&self) -> Self {
        Self { local: self.peer.clone(), peer: self.local.clone() }
    }
}

// === impl Pair ===

impl Pair {
    /// Starts both sidecars. The client's is told the server's ports.
    ///
    /// # Errors
    /// When one does not come up.
    pub async fn start(binary: &Path, mut client: Sidecar, server: &Sidecar) -> Result<Self> {
        let server_envoy = server.start(binary).await?;
        client.upstream = server_envoy.traffic_port;
        if server.tcp_upstream.is_some() {
            client.tcp_upstream = Some(server_envoy.port_of(TCP_LISTENER).await?);
        }
        Ok(Self { client: client.start(binary).await?, server: server_envoy })
    }

    /// Starts productpage and ratings before an application, over plain text.
    ///
    /// # Errors
    /// When one does not come up.
    pub async fn plain(binary: &Path, application: u16) -> Result<Self> {
        let server = Sidecar::ratings(application);
        Self::start(binary, Sidecar::productpage(0), &server).await
    }
}

/// Value of `x-envoy-peer-metadata` of a peer with these properties.
pub fn metadata(properties: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| prost_types::Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let fields = properties.iter().map(|(key, value)| (key.to_string(), text(value))).collect();
    STANDARD.encode(Struct { fields }.encode_to_vec()).into_bytes()
}

/// `node` of a workload's sidecar.
fn node(workload: &str, namespace: &str, cluster: &str, labels: &Value) -> Value {
    let owner = format!("kubernetes://apis/apps/v1/namespaces/{namespace}/deployments/{workload}");
    json!({
        "id": format!("sidecar~127.0.0.1~{workload}-0.{namespace}~{namespace}.svc.cluster.local"),
        "cluster": format!("{workload}.{namespace}"),
        "metadata": {
            "NAME": format!("{workload}-0"),
            "NAMESPACE": namespace,
            "WORKLOAD_NAME": workload,
            "OWNER": owner,
            "CLUSTER_ID": cluster,
            "LABELS": labels,
        },
    })
}
