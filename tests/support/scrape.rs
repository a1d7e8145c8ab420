//! What a running Envoy tells Prometheus.

use crate::envoy::Envoy;
use crate::http;
use crate::series::{Series, parse_scrape};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest wait for a count.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two scrapes.
const PAUSE: Duration = Duration::from_millis(20);

/// All series of one scrape.
#[derive(Debug)]
pub struct Scrape {
    /// As Envoy wrote it.
    pub text: String,
    series: Vec<Series>,
}

// === impl Scrape ===

impl Scrape {
    /// Scrapes now.
    ///
    /// # Errors
    /// When the answer is not in Prometheus' text format.
    pub async fn of(envoy: &Envoy) -> Result<Self> {
        let text = http::get(envoy.metrics_port, "/stats/prometheus").await?;
        let series = parse_scrape(&text)?;
        Ok(Self { text, series })
    }

    /// Scrapes the metrics whose stat names match a regular expression, which costs less.
    ///
    /// # Errors
    /// When the answer is not in Prometheus' text format.
    pub async fn matching(envoy: &Envoy, filter: &str) -> Result<Self> {
        let text =
            http::get(envoy.metrics_port, &format!("/stats/prometheus?filter={filter}")).await?;
        let series = parse_scrape(&text)?;
        Ok(Self { text, series })
    }

    /// Scrapes until the metric's series add up to `total` or more.
    ///
    /// # Errors
    /// When they do not in time, or add up to more.
    pub async fn when(envoy: &Envoy, metric: &str, total: f64) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let scrape = Self::of(envoy).await?;
            let found = scrape.total(metric);
            if found == total {
                return Ok(scrape);
            }
            if found > total || Instant::now() > deadline {
                let series = scrape.all(metric);
                bail!("{metric} is {found} instead of {total}: {series:#?}\n{}", envoy.log()?);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Every series.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The series of a metric.
    pub fn all(&self, metric: &str) -> Vec<&Series> {
        self.series.iter().filter(|series| series.name == metric).collect()
    }

    /// The sum over the series of a metric; 0 when there are none.
    pub fn total(&self, metric: &str) -> f64 {
        self.all(metric).iter().map(|series| series.value).sum()
    }

    /// The labels of a metric's only series.
    ///
    /// # Panics
    /// When there is not exactly one.
    pub fn labels(&self, metric: &str) -> &BTreeMap<String, String> {
        match self.all(metric).as_slice() {
            [series] => &series.labels,
            others => panic!("{metric} has {} series instead of one: {others:#?}", others.len()),
        }
    }
}
