//! A proxy in which the module is one filter among others.

use crate::envoy::bootstrap::{
    TYPES, listener, metrics_listener, pipe, router, socket, static_cluster, stats_tags,
    wasm_filter,
};
use crate::envoy::{Envoy, folder};
use crate::module;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::path::Path;

/// A proxy to be started.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Its listeners; [`Envoy::traffic_port`] is the one named `entry`.
    pub listeners: Vec<Entry>,
    /// Labels of metrics beyond the standard ones.
    pub dimensions: Vec<String>,
    /// Port of the application on the loopback address; the cluster is `app`.
    pub upstream: u16,
    /// Port of a collector that takes spans; none are made without.
    pub collector: Option<u16>,
}

/// A listener, its filters and its routes.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name.
    pub name: &'static str,
    /// Filters before the router.
    pub filters: Vec<Value>,
    /// Routes.
    pub routes: Value,
    /// Format of a line of access log on the standard output; none without.
    pub access_log: Option<&'static str>,
    /// Tags of spans: `CustomTag`.
    pub tags: Vec<Value>,
}

// === impl Chain ===

impl Chain {
    /// Starts an Envoy and waits until it accepts.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(&self, binary: &Path) -> Result<Envoy> {
        let folder = folder()?;
        let bootstrap = self.bootstrap(folder.path());
        let mut envoy = Envoy::start(binary, folder, &bootstrap)?;
        ensure!(envoy.wait_until_up().await?, "Envoy ended:\n{}", envoy.log()?);
        Ok(envoy)
    }

    fn bootstrap(&self, folder: &Path) -> Value {
        let admin = pipe(&folder.join("admin"));
        let traffic = self.listeners.iter().map(|entry| entry.listener(self.collector.is_some()));
        let mut listeners = vec![metrics_listener()];
        listeners.extend(traffic);
        let app = static_cluster("app", &socket(self.upstream));
        let mut clusters = vec![static_cluster("admin", &admin), app];
        clusters.extend(self.collector.map(collector_cluster));
        json!({
            "node": { "id": "test", "cluster": "test" },
            "admin": { "address": admin },
            "stats_flush_interval": "0.050s",
            "layered_runtime": { "layers": [{
                "name": "test",
                "static_layer": { "tracing.opentelemetry.flush_interval_ms": 50 },
            }] },
            "stats_config": {
                "use_all_default_tags": false,
                "stats_tags": stats_tags(self.dimensions.clone()),
            },
            "static_resources": { "listeners": listeners, "clusters": clusters },
        })
    }
}

// === impl Entry ===

impl Entry {
    /// A listener whose every request goes to the application.
    pub fn new(name: &'static str, filters: Vec<Value>) -> Self {
        Self { name, filters, routes: json!([to_app()]), access_log: None, tags: Vec::new() }
    }

    fn listener(&self, traced: bool) -> Value {
        let mut filters = self.filters.clone();
        filters.push(router());
        let mut listener = listener(self.name, "INBOUND", &self.routes, &json!(filters));
        let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
        if let Some(format) = self.access_log {
            let log =
                "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog";
            let format = json!({ "text_format_source": { "inline_string": format } });
            let log = json!({ "@type": log, "log_format": format });
            manager["access_log"] =
                json!([{ "name": "envoy.access_loggers.stdout", "typed_config": log }]);
        }
        if traced {
            manager["tracing"] = tracing(&self.tags);
        }
        listener
    }
}

/// The route of every request to the application.
pub fn to_app() -> Value {
    json!({ "match": { "prefix": "/" }, "route": { "cluster": "app" } })
}

/// The module as a filter.
pub fn opmeter(config: &str) -> Value {
    json!({ "name": "opmeter", "typed_config": wasm_filter("http", config, module::path()) })
}

/// Another of Envoy's HTTP filters: `kind` as in `header_mutation.v3.HeaderMutation`, and its configuration.
pub fn filter(kind: &str, mut config: Value) -> Value {
    config["@type"] = format!("{TYPES}.http.{kind}").into();
    json!({ "name": kind, "typed_config": config })
}

fn tracing(tags: &[Value]) -> Value {
    let service = json!({ "envoy_grpc": { "cluster_name": "collector" }, "timeout": "1s" });
    json!({
        "spawn_upstream_span": true,
        "custom_tags": tags,
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
                "grpc_service": service,
                "service_name": "test",
            },
        },
    })
}

fn collector_cluster(port: u16) -> Value {
    let mut cluster = static_cluster("collector", &socket(port));
    let options = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": options,
            "explicit_http_config": { "http2_protocol_options": {} },
        },
    });
    cluster
}
