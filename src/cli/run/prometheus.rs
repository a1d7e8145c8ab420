//! A Prometheus beside the sample mesh: the repository's configuration, placed, and its answers.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use opmeter_boards::{answer, query};
use serde_yaml_ng::Value;
use tokio::time::sleep;

use super::http::Http;
use super::places::Places;
use super::proxy::Proxy;
use super::report;

/// The job that scrapes the sidecars.
const JOB: &str = "envoy-sidecars";
/// A person watches: faster than the file's interval for a mesh that lasts.
const INTERVAL: &str = "500ms";
/// What the report shows from it: a title, an expression, a unit.
const SHOWN: [(&str, &str, &str); 3] = [
    (
        "requests counted",
        "sum by (request_operation) (istio_requests_total{reporter=\"destination\"})",
        "",
    ),
    (
        "share of errors",
        "sum by (request_operation) (istio_requests_total{reporter=\"destination\", response_code=~\"[45]..|0\"}) \
         / sum by (request_operation) (istio_requests_total{reporter=\"destination\"})",
        "",
    ),
    (
        "p90 of durations",
        "histogram_quantile(0.9, sum by (request_operation, le) \
         (istio_request_duration_milliseconds_bucket{reporter=\"destination\"}))",
        " ms",
    ),
];
const SCRAPE_LIMIT: Duration = Duration::from_secs(15);

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    process: Proxy,
    address: SocketAddr,
}

// === impl Prometheus ===

impl Prometheus {
    /// Starts it in a folder for its files.
    pub fn start(
        program: &Path,
        config: &Path,
        folder: &Path,
        places: &Places,
        address: SocketAddr,
    ) -> Result<Self> {
        let placed = folder.join("prometheus.json");
        let text = place(config, places, address)
            .with_context(|| format!("cannot use {}", config.display()))?;
        fs::write(&placed, text).with_context(|| format!("cannot write {}", placed.display()))?;
        Ok(Self { process: Proxy::prometheus(program, &placed, folder, address)?, address })
    }

    /// The process.
    pub fn process(&mut self) -> &mut Proxy {
        &mut self.process
    }

    /// Ends it.
    pub async fn stop(self) -> Result<()> {
        self.process.stop().await
    }

    /// Where a browser finds it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asks by a path of its API.
    pub async fn ask(&self, http: &Http, path: &str) -> Result<Vec<answer::Series>> {
        let answer = http.get(&format!("{}{path}", self.url())).await?;
        answer::read(&answer.text)
    }

    /// Waits until it has scraped both sidecars: it takes some seconds to begin.
    pub async fn wait_scraping(&self, http: &Http) -> Result<()> {
        let up = query::instant(&format!("sum(up{{job=\"{JOB}\"}}) == 2"));
        self.wait(http, &up, "no scrape of both sidecars", |answer| !answer.is_empty()).await
    }

    /// Waits until it holds what both sidecars counted.
    pub async fn wait_for(&self, http: &Http, requests: u32) -> Result<()> {
        let both = query::instant(&format!("sum by (reporter) ({})", report::REQUESTS));
        let complete = |series: &answer::Series| series.last() >= Some(f64::from(requests));
        let done = |answer: &[answer::Series]| answer.len() == 2 && answer.iter().all(complete);
        self.wait(http, &both, &format!("no {requests} requests of each sidecar"), done).await
    }

    async fn wait(
        &self,
        http: &Http,
        path: &str,
        missing: &str,
        done: impl Fn(&[answer::Series]) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + SCRAPE_LIMIT;
        while !done(&self.ask(http, path).await?) {
            ensure!(
                Instant::now() < deadline,
                "Prometheus has {missing} after {} s; its log ends with:\n{}",
                SCRAPE_LIMIT.as_secs(),
                self.process.log_tail()
            );
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Questions and answers about the run.
    pub async fn tell(&self, http: &Http) -> Result<String> {
        let mut text = String::new();
        for (title, expr, unit) in SHOWN {
            text += &format!("\n\n{title}, {expr}:");
            let mut answers = self.ask(http, &query::instant(expr)).await?;
            answers.sort_by(|a, b| a.label("request_operation").cmp(b.label("request_operation")));
            for series in answers {
                let value = series.last().unwrap_or(f64::NAN);
                let value = format!("{:.2}", value);
                let value = value.trim_end_matches('0').trim_end_matches('.');
                text += &format!("\n  {:<14} {value:>8}{unit}", series.label("request_operation"));
            }
        }
        Ok(text)
    }
}

/// The configuration with the addresses of this run. JSON is YAML.
fn place(config: &Path, places: &Places, own: SocketAddr) -> Result<String> {
    let mut value: Value = serde_yaml_ng::from_str(&fs::read_to_string(config)?)?;
    let global = value.get_mut("global").and_then(Value::as_mapping_mut).context("no global")?;
    for name in ["scrape_interval", "evaluation_interval"] {
        global.insert(name.into(), INTERVAL.into());
    }
    let folder: PathBuf = config.canonicalize()?.parent().context("no folder")?.to_owned();
    for file in items(&mut value, "rule_files")? {
        let path = folder.join(file.as_str().context("a rule file is not a path")?);
        *file = path.to_str().context("a rule file's path is not UTF-8")?.into();
    }
    for job in items(&mut value, "scrape_configs")? {
        let sidecars = job.get("job_name").and_then(Value::as_str) == Some(JOB);
        let addresses =
            if sidecars { vec![places.client.stats, places.server.stats] } else { vec![own] };
        let groups = items(job, "static_configs")?;
        ensure!(groups.len() == addresses.len(), "not {} targets", addresses.len());
        for (group, address) in groups.iter_mut().zip(addresses) {
            group["targets"] = vec![Value::from(address.to_string())].into();
        }
    }
    Ok(serde_json::to_string_pretty(&value)?)
}

fn items<'a>(owner: &'a mut Value, name: &str) -> Result<&'a mut Vec<Value>> {
    owner.get_mut(name).and_then(Value::as_sequence_mut).with_context(|| format!("no list {name}"))
}
