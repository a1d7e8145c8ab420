//! One shape through all proxies, and what has to hold.

use crate::app::App;
use crate::client;
use crate::shape::{Shape, counts};
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use support::engine::Mount;
use support::trio::{Counts, Host, Mounts, Proxy, Told};

/// Longest wait for the lines of access log.
const LOGGED: Duration = Duration::from_secs(20);
/// Longest wait for the series when those are there: both are written by the same phase.
const COUNTED: Duration = Duration::from_secs(5);
/// How long everything has to stay as it is then.
const QUIET: Duration = Duration::from_millis(40);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A proxy and the application behind it.
#[derive(Debug)]
pub struct Chain {
    proxy: Proxy,
    app: App,
    /// All that was told before the shape that runs.
    before: Told,
}

/// What came of a shape in one chain.
#[derive(Debug)]
struct Seen {
    answer: String,
    received: Vec<String>,
    problems: Vec<String>,
}

/// What a chain has not told yet.
#[derive(PartialEq, Eq)]
enum Missing {
    /// Lines of the access log.
    Lines,
    /// Counts.
    Series,
    /// Nothing.
    Nothing,
}

// === impl Chain ===

impl Chain {
    /// All of them, without the module first.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start_all(binary: &Path, shapes: &[Shape]) -> Result<[Self; 4]> {
        let hosts: Vec<Host> = shapes.iter().map(host).collect::<Result<_>>()?;
        let (plain, filter, logger, both) = tokio::try_join!(
            Self::start(binary, &[], &hosts),
            Self::start(binary, &[Mount::Filter], &hosts),
            Self::start(binary, &[Mount::AccessLogger], &hosts),
            Self::start(binary, &[Mount::Filter, Mount::AccessLogger], &hosts),
        )?;
        Ok([plain, filter, logger, both])
    }

    async fn start(binary: &Path, mounts: Mounts, hosts: &[Host]) -> Result<Self> {
        let app = App::start().await?;
        let proxy = Proxy::start(binary, mounts, app.servers, hosts).await?;
        let before = proxy.told().await?;
        let troubles = before.troubles.values().sum::<u64>();
        ensure!(troubles == 0, "{proxy}: {:?}\n{}", before.troubles, proxy.envoy.log()?);
        Ok(Self { proxy, app, before })
    }

    /// Runs a shape.
    async fn run(&mut self, shape: &Shape) -> Result<Seen> {
        let late = self.proxy.told().await?;
        let mut problems = Vec::new();
        if late.log.len() > self.before.log.len() || late.counted != self.before.counted {
            let lines = late.lines_after(&self.before);
            problems.push(format!("the shape before had not ended: {lines:#?}"));
        }
        self.before = late;
        self.app.play(shape);
        let answer = client::send(shape, &self.proxy.envoy).await;
        let answer = answer.unwrap_or_else(|error| {
            problems.push(format!("client: {error:#}"));
            String::new()
        });
        problems.extend(self.settle(shape).await?);
        let received = self.app.received().await.unwrap_or_else(|error| {
            problems.push(format!("{error:#}"));
            Vec::new()
        });
        Ok(Seen { answer, received, problems })
    }

    /// Waits until all is told that has to be, and a little longer.
    async fn settle(&mut self, shape: &Shape) -> Result<Vec<String>> {
        let start = Instant::now();
        let mut logged = None;
        loop {
            let told = self.proxy.told().await?;
            let missing = self.missing(shape, &told);
            if missing != Missing::Lines && logged.is_none() {
                logged = Some(Instant::now());
            }
            let late = start.elapsed() > LOGGED || logged.is_some_and(|at| at.elapsed() > COUNTED);
            if missing == Missing::Nothing || late {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(QUIET).await;
        let told = self.proxy.told().await?;
        let problems = self.problems(shape, &told);
        self.before = told;
        Ok(problems)
    }

    /// What may still come.
    fn missing(&self, shape: &Shape, told: &Told) -> Missing {
        let lines: u64 = shape.logged().values().sum();
        if (told.lines_after(&self.before).len() as u64) < lines {
            return Missing::Lines;
        }
        if self.proxy.mounts.is_empty() {
            return Missing::Nothing;
        }
        let expected: u64 = shape.counted().values().sum();
        let counted: u64 = minus(&told.counted, &self.before.counted).values().sum();
        if counted < expected { Missing::Series } else { Missing::Nothing }
    }

    /// What is not as it has to be.
    fn problems(&self, shape: &Shape, told: &Told) -> Vec<String> {
        let mut problems = Vec::new();
        let lines = told.lines_after(&self.before);
        let logged = counts(lines.iter().map(|line| shape.as_logged(&line.row)));
        let expected = shape.logged();
        if logged != expected {
            let texts: String = lines.iter().map(|line| format!("\n    {}", line.text)).collect();
            let (logged, expected) = (list(&logged), list(&expected));
            problems.push(format!("access log: {logged}instead of {expected}{texts}"));
        }
        if !self.proxy.mounts.is_empty() {
            let expected = match self.proxy.mounts {
                [Mount::AccessLogger] if shape.rewritten => {
                    counts(lines.iter().map(|line| line.row.clone()))
                }
                _ => shape.counted(),
            };
            problems.extend(self.counted_otherwise(expected, told));
        }
        problems
    }

    /// What the series say that is not as it has to be.
    fn counted_otherwise(&self, expected: Counts, told: &Told) -> Vec<String> {
        let mut problems = Vec::new();
        let counted = minus(&told.counted, &self.before.counted);
        if counted != expected {
            problems.push(format!("series: {}instead of {}", list(&counted), list(&expected)));
        }
        let tcp = expected.into_iter().filter(|(row, _)| row.protocol == "tcp").collect();
        let opened = minus(&told.opened, &self.before.opened);
        if opened != tcp {
            problems.push(format!("opened: {}instead of {}", list(&opened), list(&tcp)));
        }
        if told.bytes != told.logged_bytes {
            let (ours, logged) = (&told.bytes, &told.logged_bytes);
            problems.push(format!("bytes: {ours:?} instead of {logged:?}"));
        }
        let strangers = told.strangers - self.before.strangers;
        // Without headers to touch, an access logger takes no part in the exchange.
        if self.proxy.mounts.contains(&Mount::Filter) && strangers > 0 {
            problems.push(format!("the destination does not know the source of {strangers}"));
        }
        for (name, value) in &told.troubles {
            // Of two mounts one leaves the standard metrics out, and warns once.
            let several = ["opmeter_duplicate_streams_total", "opmeter_config_errors_total"];
            if self.proxy.mounts.len() > 1 && several.contains(&name.as_str()) {
                continue;
            }
            let before = self.before.troubles.get(name).copied().unwrap_or_default();
            if *value != before {
                problems.push(format!("{name} rose by {}", value - before));
            }
        }
        problems
    }
}

/// Runs a shape through all chains at once and compares.
///
/// # Errors
/// What does not hold, by chain.
pub async fn run(shape: &Shape, chains: &mut [Chain; 4]) -> Result<()> {
    let [plain, filter, logger, both] = chains;
    let seen =
        tokio::try_join!(plain.run(shape), filter.run(shape), logger.run(shape), both.run(shape))?;
    let mut report = String::new();
    let [plain, others @ ..] = [seen.0, seen.1, seen.2, seen.3];
    let chains = [
        (&plain, "without the module"),
        (&others[0], "as filter"),
        (&others[1], "as access logger"),
        (&others[2], "as two filters and access logger"),
    ];
    for (seen, name) in chains {
        for problem in &seen.problems {
            writeln!(report, "{name}: {problem}")?;
        }
        if seen.answer != plain.answer {
            let (ours, theirs) = (cut(&seen.answer), cut(&plain.answer));
            writeln!(report, "{name}: the client got\n{ours}\ninstead of\n{theirs}")?;
        }
        if seen.received != plain.received {
            let (ours, theirs) = (cut(&seen.received.join("\n")), cut(&plain.received.join("\n")));
            writeln!(report, "{name}: the application got\n{ours}\ninstead of\n{theirs}")?;
        }
    }
    if report.is_empty() {
        return Ok(());
    }
    let rule = shape
        .rule
        .as_deref()
        .unwrap_or("the module changes nothing and counts what the access log tells");
    bail!("rule: {rule}\n{report}\nthe client got\n{}", cut(&plain.answer))
}

fn host(shape: &Shape) -> Result<Host> {
    let name = &shape.name;
    Ok(Host {
        outbound: shape.out.virtual_host(name, "in").with_context(|| name.clone())?,
        inbound: shape.r#in.virtual_host(name, "app").with_context(|| name.clone())?,
    })
}

/// What came to counts since.
fn minus(counts: &Counts, before: &Counts) -> Counts {
    let grown = counts
        .iter()
        .map(|(row, count)| (row.clone(), count - before.get(row).copied().unwrap_or_default()));
    grown.filter(|(_, count)| *count > 0).collect()
}

fn list(counts: &Counts) -> String {
    if counts.is_empty() {
        return "none ".to_owned();
    }
    counts.iter().map(|(row, count)| format!("{count} x {row:?} ", row = row.to_string())).collect()
}

/// The begin of a long text.
pub fn cut(text: &str) -> String {
    const LONG: usize = 2_000;
    let begin: String = text.chars().take(LONG).collect();
    if begin.len() < text.len() { format!("{begin}… ({} bytes)", text.len()) } else { begin }
}
