//! What Envoy's admin tells, and Istio's agent beside it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::http::Http;

/// Everything that is looked at, taken once.
#[derive(Debug)]
pub struct Snapshot {
    /// `/server_info`.
    pub info: Value,
    /// `/config_dump`.
    pub dump: Value,
    /// `/stats`, name and value as text.
    pub stats: Vec<(String, String)>,
    /// `/stats/prometheus`.
    pub prometheus: String,
    /// Istio's agent, where one answers.
    pub agent: Option<Agent>,
}

/// What Istio's agent tells about the modules that it fetches.
#[derive(Debug)]
pub struct Agent {
    metrics: String,
}

/// An agent that has not answered by then is none.
const AGENT_LIMIT: Duration = Duration::from_secs(2);

// === impl Snapshot ===

impl Snapshot {
    /// Asks the admin, and the agent; without an address for it, where Istio has it beside an admin of port 15000.
    pub fn take(admin: &str, agent: Option<&str>) -> Result<Self> {
        let base = address(admin)?;
        let agent = match (agent, base.strip_suffix(":15000")) {
            (Some(agent), _) => Some(address(agent)?),
            (None, Some(host)) => Some(format!("{host}:15020")),
            (None, None) => None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let http = Http::new();
            let info = get(&http, &format!("{base}/server_info")).await.with_context(|| {
                format!(
                    "no Envoy answers at {base}; it does not start when the module's file in a static listener cannot be \
                     read, or when `strict` refuses the configuration there: its log says which"
                )
            })?;
            let dump = get(&http, &format!("{base}/config_dump")).await?;
            let stats = get(&http, &format!("{base}/stats")).await?;
            let prometheus = get(&http, &format!("{base}/stats/prometheus")).await?;
            let agent = match agent {
                Some(agent) => Agent::ask(&http, &agent).await,
                None => None,
            };
            Ok(Self {
                info: serde_json::from_str(&info).context("/server_info is not JSON")?,
                dump: serde_json::from_str(&dump).context("/config_dump is not JSON")?,
                stats: stats.lines().filter_map(stat).collect(),
                prometheus,
                agent,
            })
        })
    }

    /// The first statistic of a name that is a number.
    pub fn stat(&self, name: &str) -> Option<u64> {
        let (_, value) = self.stats.iter().find(|(known, _)| known == name)?;
        value.parse().ok()
    }

    /// Virtual machines that run now, of whatever modules.
    pub fn machines(&self) -> u64 {
        self.stat("wasm.envoy.wasm.runtime.v8.active").unwrap_or_default()
    }

    /// Sum of a metric's samples in the scrape.
    pub fn metric(&self, name: &str) -> u64 {
        let lines = self.prometheus.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Sum of the statistics whose names end like this.
    pub fn sum(&self, suffix: &str) -> u64 {
        let ending = self.stats.iter().filter(|(name, _)| name.ends_with(suffix));
        ending.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
    }
}

// === impl Agent ===

impl Agent {
    async fn ask(http: &Http, base: &str) -> Option<Self> {
        let url = format!("{base}/stats/prometheus");
        let answer = tokio::time::timeout(AGENT_LIMIT, get(http, &url)).await;
        Some(Self { metrics: answer.ok()?.ok()? })
    }

    /// Fetches that failed, by what went wrong: `2 of checksum_mismatched` (Istio, `pkg/wasm/monitoring.go`).
    pub fn failures(&self) -> Vec<String> {
        let fetches = self.metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix("istio_agent_wasm_remote_fetch_count{result=\"")?;
            let (result, rest) = rest.split_once('"')?;
            let number = rest.rsplit(' ').next()?;
            (result != "success").then(|| format!("{number} of {result}"))
        });
        fetches.collect()
    }
}

/// `http://HOST:PORT` of an address as people write it.
fn address(given: &str) -> Result<String> {
    let base = given.trim_end_matches('/');
    match base.split_once("://") {
        Some(("http", _)) => Ok(base.to_owned()),
        Some(_) => bail!("found {given}, expected http:// or none"),
        None => Ok(format!("http://{base}")),
    }
}

async fn get(http: &Http, url: &str) -> Result<String> {
    let answer = http.get(url).await?;
    if !answer.status.is_success() {
        bail!("{url} answered {}", answer.status);
    }
    Ok(answer.text)
}

/// `name: value`; the name may hold colons and spaces.
fn stat(line: &str) -> Option<(String, String)> {
    let (name, value) = line.rsplit_once(": ")?;
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::Agent;

    #[test]
    fn fetches_that_failed_are_told_by_their_result() {
        let metrics = "# TYPE istio_agent_wasm_remote_fetch_count counter\n\
                       istio_agent_wasm_remote_fetch_count{result=\"success\"} 3\n\
                       istio_agent_wasm_remote_fetch_count{result=\"checksum_mismatched\"} 2\n\
                       istio_agent_wasm_cache_entries 1\n";
        let agent = Agent { metrics: metrics.to_owned() };
        assert_eq!(agent.failures(), ["2 of checksum_mismatched"]);
    }
}
