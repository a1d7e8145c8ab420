//! Traffic of all directions before that of a case.

use super::WORKERS;
use crate::case::{Case, Side};
use crate::engine::Mount;
use crate::envoy::bootstrap::{
    access_logger, listener, log_to, router, static_cluster, wasm_filter,
};
use crate::envoy::{Envoy, PAUSE, START, tcp_chain};
use crate::{http, module};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The cluster behind the listeners of the warm-up: the admin, which is there anyway.
const CLUSTER: &str = "warm-up";

/// What is asked of it, and how its answer ends.
const REQUEST: &[u8] = b"GET /ready HTTP/1.1\r\nhost: warm-up\r\n\r\n";
const ANSWER: &[u8] = b"LIVE\n";

/// A request that never ends: its body is not sent.
const OPEN_REQUEST: &[u8] = b"POST /ready HTTP/1.1\r\nhost: warm-up\r\ncontent-length: 5\r\n\r\n";

/// The streams before a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WarmUp {
    /// They end before it, and what they counted is taken off.
    Ended,
    /// They last as long as it: for cases about how many series there may be, of which ended ones would take some.
    Open,
}

// === impl WarmUp ===

impl WarmUp {
    /// That of a case.
    pub fn of(case: &Case) -> Self {
        let limited = ["\"limits\"", "\"prewarm\""].iter().any(|name| case.config.contains(name));
        if limited { Self::Open } else { Self::Ended }
    }

    /// Adds a listener of each direction, with the module as the case has it.
    pub fn add_listeners(self, bootstrap: &mut Value, case: &Case, mount: Mount) {
        let admin = bootstrap["admin"]["address"].clone();
        let resources = &mut bootstrap["static_resources"];
        let lists = ["listeners", "clusters"];
        let [listeners, clusters] = lists.map(|list| resources[list].take());
        let mut listeners = listeners.as_array().cloned().unwrap_or_default();
        let mut clusters = clusters.as_array().cloned().unwrap_or_default();
        listeners.extend(Side::ALL.map(|side| one(side, case, mount)));
        clusters.push(static_cluster(CLUSTER, &admin));
        resources["listeners"] = listeners.into();
        resources["clusters"] = clusters.into();
    }

    /// Sends a stream through each listener and worker, one direction after the other, and waits until all is counted.
    /// Streams that stay open end with what is returned.
    pub async fn send(self, envoy: &mut Envoy, order: &[Side]) -> Result<Vec<TcpStream>> {
        let mut open = Vec::new();
        for side in order {
            let port = envoy.port_of(&name(*side)).await?;
            if self == Self::Ended {
                http::side_by_side(port, WORKERS, REQUEST, ANSWER).await?;
                // Envoy counts it after the stream itself, and shows both or none.
                let length = "downstream_cx_length_ms_count";
                let length = format!("envoy_listener_{}_{length}", name(*side)).replace('-', "_");
                wait(envoy, &length, f64::from(WORKERS)).await?;
                continue;
            }
            for _ in 0..WORKERS {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.write_all(OPEN_REQUEST).await?;
                open.push(stream);
            }
            let upstream = format!("envoy_cluster_{CLUSTER}_upstream_cx_active").replace('-', "_");
            wait(envoy, &upstream, open.len() as f64).await?;
        }
        if self == Self::Ended {
            envoy.before = envoy.page().await?;
        }
        Ok(open)
    }
}

fn name(side: Side) -> String {
    format!("{CLUSTER}-{side}")
}

/// The listener of one direction.
fn one(side: Side, case: &Case, mount: Mount) -> Value {
    let (name, module) = (name(side), module::path());
    let mut listener = if case.is_tcp() {
        tcp_chain::listener_to(CLUSTER, &name, case, mount, side.direction(), module)
    } else {
        let opmeter = json!({
            "name": "opmeter",
            "typed_config": wasm_filter("http", &case.config, module),
        });
        let filters = match mount {
            Mount::Filter => vec![opmeter, router()],
            Mount::AccessLogger => vec![router()],
        };
        let routes = json!([{ "match": { "prefix": "/" }, "route": { "cluster": CLUSTER } }]);
        let mut listener = listener(&name, side.direction(), &routes, &json!(filters));
        if mount == Mount::AccessLogger {
            log_to(&mut listener, &access_logger(&case.config, module), &json!({}));
        }
        listener
    };
    listener["name"] = name.as_str().into();
    listener["stat_prefix"] = name.into();
    listener["connection_balance_config"] = json!({ "exact_balance": {} });
    listener
}

/// Waits until a metric is there with a value.
async fn wait(envoy: &Envoy, metric: &str, value: f64) -> Result<()> {
    let deadline = Instant::now() + START;
    loop {
        let found = envoy.page().await?.value(metric);
        if found == value {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{metric} is {found}, not {value}\n{}", envoy.log()?);
        tokio::time::sleep(PAUSE).await;
    }
}
