//! A corpus case: a configuration, traffic, and the series that have to come out.

pub mod lasting;
pub mod message;
pub mod peer;

use crate::engine::{Engine, Mount};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

pub use lasting::{Connection, Tick};
pub use message::{Fault, Request, Response};
pub use peer::{Peer, Want};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Unique name, a sentence without spaces.
    pub name: String,
    /// The rule in one sentence, and its public source.
    pub rule: String,
    /// Which proxy the module runs in.
    #[serde(default)]
    pub side: Side,
    /// Engines to run on.
    #[serde(default = "all_engines")]
    pub on: Vec<Engine>,
    /// Why not on all engines.
    pub why: Option<String>,
    /// Why an access logger gives another answer, so that the case is about the filter alone. Cases about the exchange
    /// and about what is reported while a stream lasts are so anyway.
    pub filter_only: Option<String>,
    /// Plugin configuration, JSON.
    #[serde(default = "empty_config")]
    pub config: String,
    /// Node metadata of the proxy; a complete Istio workload when not given.
    #[serde(default = "default_node")]
    pub node: toml::Table,
    /// Its locality: `region`, `zone`.
    #[serde(default)]
    pub locality: BTreeMap<String, String>,
    /// Filter state that the proxy's own filters left: text, or an Istio peer (a table), which models alone can show.
    #[serde(default)]
    pub filter_state: toml::Table,
    /// The upstream cluster that requests are routed to.
    #[serde(default)]
    pub cluster: Cluster,
    /// Name of the route.
    #[serde(default = "default_route")]
    pub route: String,
    /// How often the route tries again after a failed connect.
    #[serde(default)]
    pub retries: u32,
    /// Identities of mutual TLS towards the client.
    pub downstream_tls: Option<Tls>,
    /// Identities of mutual TLS towards the upstream.
    pub upstream_tls: Option<Tls>,
    /// The requests, one after the other; one plain GET when none is given.
    #[serde(default = "one_request")]
    pub requests: Vec<Request>,
    /// The connections, one after the other, in place of requests: the module is a network filter.
    #[serde(default)]
    pub connections: Vec<Connection>,
    /// Whether Envoy's grpc_stats filter runs.
    #[serde(default = "yes")]
    pub grpc_stats: bool,
    /// The response to all requests that have none of their own.
    #[serde(default)]
    pub response: Response,
    /// `name{label="value",absent_label!} value`: exactly one series has these labels, and this value.
    #[serde(default)]
    pub expect: Vec<String>,
    /// `name{label="value"}`: no series has these labels.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Texts that lines of the module's log have to hold.
    #[serde(default)]
    pub log: Vec<String>,
    /// The problems for which a `strict` configuration has to be refused, all of them, in order.
    #[serde(default)]
    pub refused: Vec<String>,
    /// The problems that have to be reported while everything else is in force, all of them, in order; any when not given.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// Which proxy a module runs in.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The client's sidecar.
    #[default]
    Outbound,
    /// The server's sidecar.
    Inbound,
    /// A gateway, whose listeners have no direction.
    Gateway,
}

/// An upstream cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// `filter_metadata.istio.services`; no Istio metadata at all when empty.
    pub services: Vec<BTreeMap<String, String>>,
    /// `filter_metadata.istio.external`; not there when not given.
    pub external: Option<bool>,
    /// `filter_metadata.istio.disable_mx`; not there when not given.
    pub disable_mx: Option<bool>,
    /// `filter_metadata.istio.workload` of its endpoint; no metadata at all when not given.
    pub endpoint: Option<String>,
}

/// URI SANs of a TLS connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Of the proxy's own certificate.
    pub local: String,
    /// Of the peer's certificate.
    pub peer: String,
}

/// Reads all cases of a folder, in the order of file names.
///
/// # Errors
/// A file that cannot be read, an unknown field, a name used twice, a left-out engine without a reason.
pub fn read_all(folder: &Path) -> Result<Vec<(String, Case)>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let theme = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path)?;
        let file: File = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        for case in file.case {
            case.check().with_context(|| format!("{}: case {}", path.display(), case.name))?;
            let name = format!("{theme}::{}", case.name);
            ensure!(cases.iter().all(|(known, _)| *known != name), "two cases named {name}");
            cases.push((name, case));
        }
    }
    Ok(cases)
}

// === impl Side ===

impl Side {
    /// All of them.
    pub const ALL: [Side; 3] = [Side::Outbound, Side::Inbound, Side::Gateway];

    /// `traffic_direction` of its listeners.
    pub fn direction(self) -> &'static str {
        match self {
            Side::Outbound => "OUTBOUND",
            Side::Inbound => "INBOUND",
            Side::Gateway => "UNSPECIFIED",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Outbound => "outbound",
            Side::Inbound => "inbound",
            Side::Gateway => "gateway",
        })
    }
}

// === impl Case ===

impl Case {
    fn check(&self) -> Result<()> {
        let all = Engine::ALL.iter().all(|engine| self.on.contains(engine));
        ensure!(all != self.why.is_some(), "`why` tells why an engine is left out of `on`");
        ensure!(!self.name.contains(char::is_whitespace), "a name has no spaces");
        let expectations = [&self.expect, &self.absent, &self.log, &self.refused, &self.problems];
        let headers = |r: &Request| !r.upstream_headers.is_empty() || !r.client_headers.is_empty();
        let expects =
            expectations.iter().any(|e| !e.is_empty()) || self.requests.iter().any(headers);
        ensure!(expects, "nothing is expected");
        let real = self.on.contains(&Engine::Envoy);
        ensure!(!real || self.ticks_in_pauses(), "a real timer fires in a pause, and there alone");
        ensure!(self.rule.len() > 20, "`rule` is a sentence with its source");
        Ok(())
    }

    /// Whether every tick happens while the upstream pauses, where a real timer fires as well.
    fn ticks_in_pauses(&self) -> bool {
        let request = |r: &Request| {
            let so_far = [r.messages.unwrap_or_default(), 0];
            r.ticks.is_empty()
                || self.response_to(r).pause_ms > 0 && r.ticks.iter().all(|t| t.so_far == so_far)
        };
        let connection = |c: &Connection| {
            c.ticks.is_empty()
                || c.pause_ms > 0 && c.ticks.iter().all(|t| t.so_far == c.in_the_end())
        };
        self.requests.iter().all(request) && self.connections.iter().all(connection)
    }

    /// The mounts of which the same is expected.
    pub fn mounts(&self) -> Vec<Mount> {
        let headers = |r: &Request| !r.upstream_headers.is_empty() || !r.client_headers.is_empty();
        let of_filter = self.filter_only.is_some()
            || !self.all_ticks().is_empty()
            || self.config.contains("metadata_exchange")
            || self.requests.iter().any(headers);
        if of_filter { vec![Mount::Filter] } else { vec![Mount::Filter, Mount::AccessLogger] }
    }

    /// What has to be right after each tick, in order.
    pub fn all_ticks(&self) -> Vec<&Tick> {
        let of_requests = self.requests.iter().flat_map(|r| &r.ticks);
        let of_connections = self.connections.iter().flat_map(|c| &c.ticks);
        if self.is_tcp() { of_connections.collect() } else { of_requests.collect() }
    }

    /// Whether it is about connections rather than requests.
    pub fn is_tcp(&self) -> bool {
        !self.connections.is_empty()
    }

    /// Whether gRPC messages are counted.
    pub fn counts_messages(&self) -> bool {
        self.grpc_stats && self.requests.iter().any(|request| request.grpc)
    }

    /// The response to a request.
    pub fn response_to<'a>(&'a self, request: &'a Request) -> &'a Response {
        request.response.as_ref().unwrap_or(&self.response)
    }

    /// Label names that the case's configuration adds.
    pub fn dimensions(&self) -> Vec<String> {
        let config: serde_json::Value = serde_json::from_str(&self.config).unwrap_or_default();
        let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
        let names = |value: &serde_json::Value| {
            let fields = value.as_object().into_iter().flatten();
            fields.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let own = list(&config["metrics"]);
        let telemetry = list(&config["telemetry"]["metrics"]);
        let overrides = telemetry.iter().flat_map(|entry| list(&entry["overrides"]));
        let tags = overrides.flat_map(|change| names(&change["tagOverrides"]));
        own.iter().flat_map(|entry| names(&entry["dimensions"])).chain(tags).collect()
    }
}

impl Default for Cluster {
    fn default() -> Self {
        let service = [
            ("host", "ratings.default.svc.cluster.local"),
            ("name", "ratings"),
            ("namespace", "default"),
        ];
        Self {
            name: "outbound|9080||ratings.default.svc.cluster.local".to_owned(),
            services: vec![service.map(|(k, v)| (k.to_owned(), v.to_owned())).into()],
            external: None,
            disable_mx: None,
            endpoint: None,
        }
    }
}

fn yes() -> bool {
    true
}

fn all_engines() -> Vec<Engine> {
    Engine::ALL.to_vec()
}

fn empty_config() -> String {
    "{}".to_owned()
}

fn default_route() -> String {
    "default".to_owned()
}

fn one_request() -> Vec<Request> {
    vec![Request::default()]
}

/// The workload of Istio's bookinfo sample whose sidecar the module runs in.
fn default_node() -> toml::Table {
    toml::toml! {
        NAME = "productpage-v1-6c9d4f7b8-x2x4z"
        NAMESPACE = "default"
        WORKLOAD_NAME = "productpage-v1"
        CLUSTER_ID = "Kubernetes"
        MESH_ID = "cluster.local"
        ISTIO_VERSION = "1.28.0"
        [LABELS]
        app = "productpage"
        version = "v1"
        "service.istio.io/canonical-name" = "productpage"
        "service.istio.io/canonical-revision" = "v2"
    }
}
