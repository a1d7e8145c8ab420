//! The mesh, what is sent through it, and what scrapes it.

use crate::application::Application;
use crate::traffic::{self, Client, OPERATIONS};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::app::Twice;
use support::envoy::Envoy;
use support::mesh::{Accepts, Certificates, PRODUCTPAGE, RATINGS, Sidecar, TCP_LISTENER};
use support::prometheus::{self, Prometheus, Target};
use tempfile::TempDir;

/// How often everything is scraped.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The running stack after its traffic.
#[derive(Debug)]
pub struct Stack {
    /// Scrapes the sidecars.
    pub prometheus: Prometheus,
    /// Takes the allowed series of the other.
    pub federating: Prometheus,
    /// Ticks that each client has sent, before and while it was measured.
    pub ticks: u32,
    /// End of the measured traffic's last tick, in seconds since 1970.
    pub end: f64,
    /// How long the measured reads took, shortest first, as the clients saw it.
    pub reads: Vec<Duration>,
    _proxies: [Envoy; 3],
    _rules: TempDir,
    _application: Application,
    _twice: Twice,
}

// === impl Stack ===

impl Stack {
    /// Starts everything, and sends.
    pub async fn start(envoy: &Path, binary: &Path) -> Result<Self> {
        let (application, twice) = (Application::start().await?, Twice::start().await?);
        let proxies = proxies(envoy, application.port, twice.port).await?;
        let [productpage, storefront, ratings] = &proxies;
        let (rules, config) = scraping(&[
            (productpage, "productpage-v1-0"),
            (storefront, "storefront-v1-0"),
            (ratings, "ratings-v1-0"),
        ])?;
        let prometheus = Prometheus::start(binary, &config).await?;
        let federating = Prometheus::start(binary, &federation(prometheus.port)?).await?;
        let clients = [Client::connect(productpage).await?, Client::connect(storefront).await?];
        // A rate does not see a series' first value, so every series is there before it is measured.
        traffic::send(&clients, 1).await?;
        prometheus.when("istio_tcp_connections_closed_total{reporter=\"destination\"}").await?;
        tokio::time::sleep(2 * INTERVAL).await;
        let reads = traffic::send(&clients, traffic::TICKS).await?;
        let end = now()?;
        // What was counted last is scraped, taken over and made into recorded series.
        tokio::time::sleep(3 * INTERVAL).await;
        let ticks = traffic::TICKS + 1;
        Ok(Self {
            prometheus,
            federating,
            ticks,
            end,
            reads,
            _proxies: proxies,
            _rules: rules,
            _application: application,
            _twice: twice,
        })
    }
}

/// Reads a configuration of the repository.
pub fn configuration(name: &str) -> Result<Value> {
    let file = file(name);
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    Ok(serde_yaml_ng::from_str(&text)?)
}

/// A file below `envoy/prometheus`.
pub fn file(name: &str) -> PathBuf {
    support::module::workspace().join("envoy/prometheus").join(name)
}

async fn proxies(envoy: &Path, http: u16, tcp: u16) -> Result<[Envoy; 3]> {
    let ends = Certificates::new(PRODUCTPAGE, RATINGS)?;
    let mut ratings = configured(Sidecar::ratings(http));
    ratings.accepts = Accepts::Permissive(ends.other_end());
    ratings.tcp_upstream = Some(tcp);
    let ratings = ratings.start(envoy).await?;
    let (http, tcp) = (ratings.traffic_port, ratings.port_of(TCP_LISTENER).await?);
    let mut productpage = configured(Sidecar::productpage(http));
    productpage.tcp_upstream = Some(tcp);
    let mut storefront = productpage.clone();
    productpage.connects = Some(ends);
    rename(&mut storefront.node, "productpage", "storefront");
    Ok([productpage.start(envoy).await?, storefront.start(envoy).await?, ratings])
}

fn configured(mut sidecar: Sidecar) -> Sidecar {
    let operations: Value = serde_json::from_str(OPERATIONS).unwrap_or_default();
    sidecar.config = json!({
        "metadata_exchange": {},
        "attributes": [{ "output_attribute": "istio_operation_id", "operations": operations }],
        "metrics": [{ "dimensions": { "request_operation": "istio_operation_id" } }],
    })
    .to_string();
    sidecar.dimensions = vec!["request_operation".to_owned()];
    sidecar
}

/// Another workload of the same kind.
fn rename(node: &mut Value, from: &str, to: &str) {
    match node {
        Value::String(text) => *text = text.replace(from, to),
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, from, to)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rename(field, from, to)),
        _ => {}
    }
}

/// The repository's scrape configuration and rules with these targets, each under the name of a pod. Where an alert has to
/// hold for minutes, a second is enough here.
pub fn scraping(targets: &[(&Envoy, &str)]) -> Result<(TempDir, Value)> {
    let mut config = configuration("prometheus.yaml")?;
    let labels: Vec<_> =
        targets.iter().map(|(_, pod)| [("namespace", "default"), ("pod", *pod)]).collect();
    let targets: Vec<Target<'_>> = targets
        .iter()
        .zip(&labels)
        .map(|((envoy, _), labels)| (envoy.metrics_port, labels.as_slice()))
        .collect();
    let interval = format!("{}ms", INTERVAL.as_millis());
    prometheus::place(&mut config, "envoy-sidecars", &targets, &interval)?;
    let folder = tempfile::tempdir()?;
    let mut rules = configuration("rules/opmeter.yaml")?;
    for group in rules["groups"].as_array_mut().context("no groups")? {
        // A minute is longer than this mesh lives.
        group["interval"] = interval.as_str().into();
        for rule in group["rules"].as_array_mut().context("no rules")? {
            if rule.get("for").is_some() {
                rule["for"] = "1s".into();
            }
        }
    }
    let path = folder.path().join("rules.json");
    std::fs::write(&path, rules.to_string())?;
    config["rule_files"] = json!([path]);
    Ok((folder, config))
}

fn federation(port: u16) -> Result<Value> {
    let mut config = configuration("federation.yaml")?;
    prometheus::place(&mut config, "federate", &[(port, &[])], "1s")?;
    Ok(config)
}

fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}
