//! Where metrics come from.

use std::fmt;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::totals::Totals;
use crate::run::http::Http;

/// The address of a proxy's metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// One round of scrapes.
#[derive(Debug)]
pub struct Round {
    /// Sums over all proxies.
    pub totals: Totals,
    /// Since the round before.
    pub elapsed: Duration,
    /// How long it took.
    pub took: Duration,
}

// === impl Endpoint ===

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => {
                return Err(format!("found {scheme}://, expected http:// or none"));
            }
            None => text,
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() {
            return Err("expected an address such as 127.0.0.1:15090".to_owned());
        }
        let authority = match authority.contains(':') {
            true => authority.to_owned(),
            false => format!("{authority}:15090"),
        };
        let path = if path.is_empty() { "stats/prometheus" } else { path };
        Ok(Self(format!("http://{authority}/{path}")))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Scrapes all once.
///
/// # Errors
/// None of them answers.
pub fn once(endpoints: &[Endpoint], by: &[String]) -> Result<Totals> {
    let totals = runtime()?.block_on(round(&Http::new(), endpoints, by));
    if totals.proxies == 0 {
        bail!("{}", totals.failed.join("; "));
    }
    Ok(totals)
}

/// Scrapes all again and again on a thread of its own; the first round comes at once.
pub fn rounds(
    endpoints: &[Endpoint],
    by: &[String],
    interval: Duration,
) -> Result<Receiver<Round>> {
    let (sender, receiver) = channel();
    let (endpoints, by) = (endpoints.to_vec(), by.to_vec());
    let runtime = runtime()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let http = Http::new();
            let mut ticks = tokio::time::interval(interval);
            // A proxy that takes longer than that to answer is not asked without a pause.
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut last = Instant::now();
            loop {
                ticks.tick().await;
                let start = Instant::now();
                let totals = round(&http, &endpoints, &by).await;
                let (elapsed, took) = (start - last, start.elapsed());
                last = start;
                if sender.send(Round { totals, elapsed, took }).is_err() {
                    break;
                }
            }
        });
    });
    Ok(receiver)
}

async fn round(http: &Http, endpoints: &[Endpoint], by: &[String]) -> Totals {
    let mut tasks = Vec::new();
    for Endpoint(url) in endpoints {
        let (http, url) = (http.clone(), url.clone());
        tasks.push(tokio::spawn(async move {
            match http.get(&url).await {
                Ok(answer) if answer.status.is_success() => Ok(answer.text),
                Ok(answer) => Err(format!("{url} answered {}", answer.status)),
                Err(error) => Err(format!("{error:#}")),
            }
        }));
    }
    let mut totals = Totals::default();
    for task in tasks {
        match task.await {
            Ok(Ok(text)) => totals.add(&text, by),
            Ok(Err(problem)) => totals.failed.push(problem),
            Err(error) => totals.failed.push(error.to_string()),
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn an_address_is_enough() {
        let shown = |text: &str| text.parse::<Endpoint>().map(|endpoint| endpoint.to_string());
        let full = "http://10.0.0.1:15090/stats/prometheus";
        assert_eq!(shown("10.0.0.1").unwrap(), full);
        assert_eq!(shown("10.0.0.1:15090").unwrap(), full);
        assert_eq!(shown("http://10.0.0.1:15090/").unwrap(), full);
        assert_eq!(shown("http://h:15020/metrics").unwrap(), "http://h:15020/metrics");
        assert_eq!(shown("https://h").unwrap_err(), "found https://, expected http:// or none");
    }
}
