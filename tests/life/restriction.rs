//! The capability list of `SECURITY.md` on a real Envoy: with exactly that the module works, with less it does not.

use crate::real_envoy;
use anyhow::{Context, Result};
use serde_json::{Map, json};
use std::collections::BTreeSet;
use std::path::Path;
use support::app::{App, Twice};
use support::http;
use support::mesh::{Pair, Sidecar, TCP_LISTENER};
use support::module;
use support::scrape::Scrape;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use walrus::Module;

/// What the module can call, and what of it is called.
fn needed() -> Result<BTreeSet<String>> {
    let module = Module::from_buffer(module::bytes())?;
    let imports = module.imports.iter().map(|import| import.name.clone());
    let exports = module.exports.iter().map(|export| export.name.clone());
    let callbacks = exports.filter(|name| name.starts_with("proxy_on_"));
    Ok(imports.chain(callbacks).collect())
}

/// The list of a document: `allowed_capabilities`, one to a line.
fn listed(document: &str) -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(module::workspace().join(document))?;
    let (_, list) = text.split_once("allowed_capabilities:\n").context("no list")?;
    let lines = list.lines().map_while(|line| line.trim().strip_suffix(": {}"));
    Ok(lines.map(str::to_owned).collect())
}

fn restricted(mut sidecar: Sidecar, allowed: &BTreeSet<String>) -> Sidecar {
    let allowed: Map<_, _> = allowed.iter().map(|name| (name.clone(), json!({}))).collect();
    let restriction = json!({ "allowed_capabilities": allowed });
    sidecar.plugin.insert("capability_restriction_config".to_owned(), restriction);
    sidecar
}

/// Requests and a connection through two sidecars; the totals at both.
async fn totals(envoy: &Path, allowed: &BTreeSet<String>) -> Result<Vec<f64>> {
    let app = App::start(&[]).await?;
    let twice = Twice::start().await?;
    let config = json!({
        "attributes": [{ "output_attribute": "operation", "operations": [{ "path": "/items" }] }],
        "metrics": [{ "dimensions": {
            "operation": "operation",
            "host_side": "[request.method][0]",
        } }],
        "metadata_exchange": {},
    });
    let mut client = restricted(Sidecar::productpage(0), allowed);
    let mut server = restricted(Sidecar::ratings(app.port), allowed);
    server.tcp_upstream = Some(twice.port);
    for sidecar in [&mut client, &mut server] {
        sidecar.config = config.to_string();
        sidecar.tcp_config = r#"{"tcp_reporting_duration":"0.1s"}"#.to_owned();
        sidecar.dimensions = vec!["operation".to_owned(), "host_side".to_owned()];
    }
    let pair = Pair::start(envoy, client, &server).await?;
    for _ in 0..3 {
        let request = hyper::Request::get("/items").header("host", "ratings");
        let answer =
            http::call(pair.client.traffic_port, request.body(Default::default())?).await?;
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("x-envoy-peer")));
    }
    let port = pair.client.port_of(TCP_LISTENER).await?;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"0123456789").await?;
    stream.read_exact(&mut [0; 20]).await?;
    drop(stream);
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    let mut totals = Vec::new();
    for proxy in [&pair.client, &pair.server] {
        let scrape = Scrape::of(proxy).await?;
        let known = scrape.all("istio_requests_total").into_iter().filter(|series| {
            series.labels["destination_workload"] == "ratings-v1"
                && series.labels["source_workload"] == "productpage-v1"
                && series.labels["operation"] == "/items"
                && series.labels["host_side"] == "GET"
        });
        totals.push(known.map(|series| series.value).fold(0.0, |sum, value| sum + value));
        totals.push(scrape.total("istio_request_duration_milliseconds_count"));
        totals.push(scrape.total("istio_tcp_received_bytes_total"));
        totals.push(scrape.total("opmeter_host_errors_total"));
    }
    Ok(totals)
}

const ALL: [f64; 8] = [3.0, 3.0, 10.0, 0.0, 3.0, 3.0, 10.0, 0.0];

#[test]
fn the_list_is_what_the_module_needs() {
    let needed = needed().unwrap();
    let lines: Vec<String> = needed.iter().map(|name| format!("{name}: {{}}")).collect();
    assert_eq!(
        listed("SECURITY.md").unwrap(),
        needed,
        "SECURITY.md should list:\n{}",
        lines.join("\n")
    );
}

#[tokio::test]
async fn with_exactly_that_list_the_module_works() {
    let Some(envoy) = real_envoy() else { return };
    assert_eq!(totals(&envoy, &needed().unwrap()).await.unwrap(), ALL);
}

#[tokio::test]
async fn with_less_it_does_not() {
    let Some(envoy) = real_envoy() else { return };
    for missing in ["proxy_on_log", "proxy_define_metric"] {
        let mut allowed = needed().unwrap();
        assert!(allowed.remove(missing), "{missing}");
        // A proxy that does not start tells the same.
        if let Ok(totals) = totals(&envoy, &allowed).await {
            assert_ne!(totals, ALL, "{missing} is not needed");
        }
    }
}
