//! Requests through two proxies, and what both count of them.

use crate::client::Client;
use crate::page::Page;
use crate::pod::Pod;
use crate::wait::until;
use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

/// How many requests are counted.
pub const REQUESTS: usize = 20;
/// The same as a metric has it.
pub const ALL: f64 = 20.0;

/// Longest wait for an update to reach a proxy.
pub const UPDATE: Duration = Duration::from_secs(60);
/// Longest wait for a count: the proxy logs a request after the client has its answer.
const COUNT: Duration = Duration::from_secs(5);
/// The same where a wrong count is tried again.
const COUNT_OFTEN: Duration = Duration::from_millis(500);

/// Two proxies on a request's way.
#[derive(Clone, Debug)]
pub struct Pair<'a> {
    /// Its proxy has the reporter `source`.
    pub source: &'a Pod,
    /// Its proxy has the reporter `destination`.
    pub destination: &'a Pod,
    /// What sends the requests.
    pub client: Client,
}

/// What both sides have counted.
#[derive(Debug)]
pub struct Both {
    /// By the source.
    pub source: Page,
    /// By the destination.
    pub destination: Page,
}

// === impl Pair ===

impl<'a> Pair<'a> {
    /// A pod that calls another one's Service.
    pub fn of(source: &'a Pod, destination: &'a Pod) -> Self {
        Self { source, destination, client: source.client_of(destination) }
    }

    /// Scrapes both.
    ///
    /// # Errors
    /// No page.
    pub async fn now(&self) -> Result<Both> {
        let source = self.source.scrape().await?;
        Ok(Both { source, destination: self.destination.scrape().await? })
    }

    /// What was counted since, once both sides have counted so many requests; more or fewer are an error.
    ///
    /// # Errors
    /// Another number at one of them.
    pub async fn since(&self, before: &Both, requests: usize) -> Result<Both> {
        self.since_within(before, requests, COUNT).await
    }

    async fn since_within(&self, before: &Both, requests: usize, limit: Duration) -> Result<Both> {
        let exact = async || {
            let grown = self.grown(before).await?;
            Ok((grown.counted() == (requests, requests)).then_some(grown))
        };
        if let Ok(counted) = until("the count", limit, exact).await {
            return Ok(counted);
        }
        let grown = self.grown(before).await?;
        ensure!(
            grown.counted() == (requests, requests),
            "of {requests} requests, source and destination counted {:?}\n{}",
            grown.counted(),
            grown.shown()
        );
        Ok(grown)
    }

    /// Sends requests until as many are counted on both sides as are sent.
    ///
    /// A filter comes into a listener by a new listener. Connections between the proxies stay with the old one until their
    /// next answer, and what they carry is not counted.
    ///
    /// # Errors
    /// When that does not happen in time, or a request fails meanwhile.
    pub async fn settle(&self, path: &str) -> Result<()> {
        let mut last = None;
        let settled = until("both sides count", UPDATE, async || {
            let before = self.now().await?;
            if let Err(error) = all_ok(&self.client.get_times(path, REQUESTS).await?) {
                return Ok(Some(Err(error)));
            }
            let counted = self.since_within(&before, REQUESTS, COUNT_OFTEN).await;
            last = counted.as_ref().err().map(|error| format!("{error:#}"));
            Ok(counted.is_ok().then_some(Ok(())))
        });
        let settled = settled.await;
        settled.with_context(|| last.unwrap_or_default())?
    }

    /// Sends requests and gives what both sides count of them: each once, all answered 200.
    ///
    /// # Errors
    /// Another answer, or another count.
    pub async fn counted_once(&self, path: &str) -> Result<Both> {
        let before = self.now().await?;
        all_ok(&self.client.get_times(path, REQUESTS).await?)?;
        self.since(&before, REQUESTS).await
    }

    /// Waits until a self-metric of both proxies has grown by something.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn told(&self, before: &Both, metric: &str) -> Result<()> {
        until(&format!("{metric} of both proxies"), UPDATE, async || {
            let grown = self.grown(before).await?;
            let both = [&grown.source, &grown.destination];
            Ok(both.iter().all(|page| page.total(metric, &[]) > 0.0).then_some(()))
        })
        .await
    }

    /// Waits until no listener of both proxies has this text, the name of a filter.
    ///
    /// # Errors
    /// When one has it for too long.
    pub async fn gone(&self, text: &str) -> Result<()> {
        until(&format!("the end of {text}"), UPDATE, async || {
            let mut found = false;
            for pod in [self.source, self.destination] {
                found |= pod.listeners().await?.contains(text);
            }
            Ok((!found).then_some(()))
        })
        .await
    }

    async fn grown(&self, before: &Both) -> Result<Both> {
        let now = self.now().await?;
        let source = now.source.since(&before.source);
        Ok(Both { source, destination: now.destination.since(&before.destination) })
    }
}

// === impl Both ===

impl Both {
    /// Requests that the source and the destination have counted.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of a test")]
    pub fn counted(&self) -> (usize, usize) {
        let source = self.source.requests("source", &[]);
        (source as usize, self.destination.requests("destination", &[]) as usize)
    }

    /// Asserts that all requests of a side have a label's value.
    ///
    /// # Errors
    /// When one has not.
    pub fn has(&self, reporter: &str, label: (&str, &str)) -> Result<()> {
        let page = if reporter == "source" { &self.source } else { &self.destination };
        let (found, all) = (page.requests(reporter, &[label]), page.requests(reporter, &[]));
        let (name, value) = label;
        ensure!(
            found == all && all > 0.0,
            "{name}={value:?} at the {reporter} in {found} of {all}\n{}",
            self.shown()
        );
        Ok(())
    }

    /// Both pages as text.
    pub fn shown(&self) -> String {
        format!("source:\n{}\ndestination:\n{}", self.source.shown(), self.destination.shown())
    }
}

/// # Errors
/// When one answer is not 200.
pub fn all_ok(statuses: &[u16]) -> Result<()> {
    let other: Vec<u16> = statuses.iter().copied().filter(|status| *status != 200).collect();
    let first = other.first();
    ensure!(first.is_none(), "{} of {} were not 200, first {first:?}", other.len(), statuses.len());
    Ok(())
}
