//! What Envoy's admin tells.

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
}

// === impl Snapshot ===

impl Snapshot {
    /// Asks the admin.
    pub fn take(admin: &str) -> Result<Self> {
        let base = admin.trim_end_matches('/');
        let base = match base.split_once("://") {
            Some(("http", _)) => base.to_owned(),
            Some(_) => bail!("found {admin}, expected http:// or none"),
            None => format!("http://{base}"),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let http = Http::new();
            let info = get(&http, &format!("{base}/server_info")).await.with_context(|| {
                format!(
                    "no Envoy answers at {base}; one whose static listener has a configuration that the module \
                     refuses does not start, and its log says \"configuration refused\""
                )
            })?;
            let dump = get(&http, &format!("{base}/config_dump")).await?;
            let stats = get(&http, &format!("{base}/stats")).await?;
            let prometheus = get(&http, &format!("{base}/stats/prometheus")).await?;
            Ok(Self {
                info: serde_json::from_str(&info).context("/server_info is not JSON")?,
                dump: serde_json::from_str(&dump).context("/config_dump is not JSON")?,
                stats: stats.lines().filter_map(stat).collect(),
                prometheus,
            })
        })
    }

    /// The first statistic of a name that is a number.
    pub fn stat(&self, name: &str) -> Option<u64> {
        let (_, value) = self.stats.iter().find(|(known, _)| known == name)?;
        value.parse().ok()
    }

    /// Sum of the statistics whose names end like this.
    pub fn sum(&self, suffix: &str) -> u64 {
        let ending = self.stats.iter().filter(|(name, _)| name.ends_with(suffix));
        ending.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
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
