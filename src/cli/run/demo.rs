//! A page and pictures about a run, from what Prometheus answers.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use opmeter_boards::answer::Series;
use opmeter_boards::dashboard::{self, Dashboard, Panel, Unit};
use opmeter_boards::draw::{self, Asked, Span};
use opmeter_boards::page::{Body, Page, Section};
use opmeter_boards::query::{self, Fill};

use super::http::Http;
use super::prometheus::Prometheus;

/// How far back a rate over time reaches, and the seconds between two of its points.
const RATE: &str = "5s";
const STEP: f64 = 1.0;
/// The operation whose durations are shown over time.
const CLOSE_UP: &str = "get_items";
const FILL: Fill<'_> = Fill { rate_interval: RATE, values: &[("reporter", "destination")] };
const GOOD: &str = r#"response_code!~"5..|0", grpc_response_status!~"2|4|12|13|14|15""#;

/// Asks about one run.
#[derive(Debug)]
pub struct Demo<'a> {
    pub http: &'a Http,
    pub prometheus: &'a Prometheus,
    /// While requests were sent. Totals are asked for after it, when all of them are scraped.
    pub span: Span,
    /// Requests that were sent.
    pub sent: u32,
    pub mtls: bool,
}

/// Names and expressions, in the order in which they are asked.
type Queries = Vec<(String, String)>;

/// Seconds since 1970.
pub fn now() -> Result<f64> {
    Ok(SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?
        .as_secs_f64())
}

// === impl Demo ===

impl Demo<'_> {
    /// Writes the page.
    pub async fn write_page(&self, file: &Path) -> Result<()> {
        let html = self.page().await?.to_html();
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, html).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Writes a picture of each dashboard.
    pub async fn write_pictures(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        for board in dashboard::all() {
            let svg = self.board(&board).await?;
            picture(folder, board.uid, &svg)?;
        }
        match self.topology().await?.body {
            Body::Picture(svg) => picture(folder, "topology", &svg),
            Body::Table(..) => Ok(()),
        }
    }

    /// Rows without an answer are left out: this mesh has no gRPC and no TCP.
    async fn board(&self, board: &Dashboard) -> Result<String> {
        let mut rows = Vec::new();
        for row in &board.rows {
            let mut panels = Vec::new();
            for panel in &row.panels {
                let asked = self.panel(panel, row.repeat.is_some()).await?;
                if asked.answers.iter().any(|series| !series.is_empty()) {
                    panels.push(asked);
                }
            }
            if !panels.is_empty() {
                rows.push((titled(row.title), panels));
            }
        }
        Ok(draw::board(board.title, board.description, &rows, self.span))
    }

    /// Asks what a panel shows; of one operation where it is shown for each.
    async fn panel(&self, panel: &Panel, close_up: bool) -> Result<Asked> {
        let close = [("reporter", "destination"), ("operation", CLOSE_UP)];
        let fill = if close_up { Fill { values: &close, ..FILL } } else { FILL };
        let mut answers = Vec::new();
        for query in &panel.queries {
            let expr = fill.expr(&query.expr);
            let path = if panel.kind.is_instant() {
                query::at(&expr, self.span.end)
            } else {
                query::range(&expr, self.span.start, self.span.end, STEP)
            };
            answers.push(self.ask(&path).await.with_context(|| expr)?);
        }
        Ok(Asked { panel: panel.clone(), title: titled(panel.title), answers })
    }

    async fn ask(&self, path: &str) -> Result<Vec<Series>> {
        self.prometheus.ask(self.http, path).await
    }

    async fn all(
        &self,
        queries: &Queries,
        path: impl Fn(&str) -> String,
    ) -> Result<Vec<Vec<Series>>> {
        let mut answers = Vec::new();
        for (_, expr) in queries {
            answers.push(self.ask(&path(expr)).await?);
        }
        Ok(answers)
    }

    async fn page(&self) -> Result<Page> {
        let mut sections =
            vec![self.topology().await?, self.table().await?, self.durations().await?];
        let operations = dashboard::all().into_iter().next().context("no dashboard")?;
        for (title, text, close_up) in [
            ("Requests by operation", "As the dashboard shows them while the traffic ran.", false),
            (
                "Server errors by operation",
                "Client errors such as 404 are none of the server's.",
                false,
            ),
            ("p90 by operation", "From the histograms of the server's sidecar.", false),
            ("Durations of $operation", "How many requests took how long, second by second.", true),
        ] {
            let panel = operations.panel(title).with_context(|| title)?;
            let asked = self.panel(panel, close_up).await?;
            let filled =
                panel.queries.iter().map(|query| (query.legend.to_owned(), query.expr.clone()));
            sections.push(Section {
                title: asked.title.clone(),
                text: text.to_owned(),
                queries: filled.collect(),
                body: Body::Picture(draw::panel(&asked, self.span)),
            });
        }
        let series = self.ask(&query::instant("count({job=\"envoy-sidecars\"})")).await?;
        let series = series.first().and_then(Series::last).unwrap_or(0.0);
        let seconds = self.span.end - self.span.start;
        let transport = if self.mtls { "mutual TLS" } else { "plain text" };
        let fact = |name: &str, value: String| (name.to_owned(), value);
        Ok(Page {
            title: "opmeter: a run of the sample mesh".to_owned(),
            summary: "Two Envoys with the module, real requests through both, a real Prometheus. Every number below is \
                      an answer of that Prometheus; the question stands beneath."
                .to_owned(),
            facts: vec![
                fact("requests sent", self.sent.to_string()),
                fact("time", format!("{seconds:.0} s")),
                fact("between the sidecars", transport.to_owned()),
                fact("series kept", Unit::Number.show(series)),
            ],
            sections,
        })
    }

    /// A range that holds the whole run.
    fn whole(&self) -> String {
        format!("{:.0}s", (self.span.end - self.span.start + 2.0).ceil())
    }

    async fn topology(&self) -> Result<Section> {
        let range = self.whole();
        let rate = |by: &str, more: &str| {
            format!(
                "sum by ({by}) (rate(istio_requests_total{{reporter=\"destination\"{more}}}[{range}]))"
            )
        };
        let good = format!(", {GOOD}");
        let errors = |by: &str| format!("1 - {} / {}", rate(by, &good), rate(by, ""));
        let (edge, inner) =
            ("source_workload, destination_workload", "destination_workload, request_operation");
        let queries = named(&[
            ("requests", &rate(edge, "")),
            ("failed", &errors(edge)),
            (
                "p90",
                &format!(
                    "histogram_quantile(0.9, sum by ({edge}, le) \
                     (rate(istio_request_duration_milliseconds_bucket{{reporter=\"destination\"}}[{range}])))"
                ),
            ),
            ("mutual TLS", &rate(edge, ", connection_security_policy=\"mutual_tls\"")),
            ("requests of operations", &rate(inner, "")),
            ("failed of operations", &errors(inner)),
        ]);
        let answers = self.all(&queries, |expr| query::at(expr, self.span.end)).await?;
        let [requests, failed, p90, tls, operations, errors] = answers.as_slice() else {
            anyhow::bail!("not six answers");
        };
        Ok(Section {
            title: "Who calls whom".to_owned(),
            text: "Workloads as each sidecar learned them from the other, and what is called. Red is what failed by the \
                   server's fault."
                .to_owned(),
            body: Body::Picture(draw::map([requests, failed, p90, tls], [operations, errors])),
            queries,
        })
    }

    async fn table(&self) -> Result<Section> {
        let sum = |more: &str| {
            format!(
                "sum by (request_operation) (istio_requests_total{{reporter=\"destination\"{more}}})"
            )
        };
        let quantile = |q: &str| {
            format!(
                "histogram_quantile({q}, sum by (request_operation, le) \
                 (istio_request_duration_milliseconds_bucket{{reporter=\"destination\"}}))"
            )
        };
        let queries = named(&[
            ("requests", &sum("")),
            ("4xx", &sum(", response_code=~\"4..\"")),
            ("5xx", &sum(", response_code=~\"5..\"")),
            ("p50", &quantile("0.5")),
            ("p90", &quantile("0.9")),
            ("p99", &quantile("0.99")),
        ]);
        let answers = self.all(&queries, query::instant).await?;
        let mut operations: Vec<&str> =
            answers.iter().flatten().map(|one| one.label("request_operation")).collect();
        operations.sort_unstable();
        operations.dedup();
        let cell = |operation: &str, at: usize, series: &[Series]| {
            let found = series.iter().find(|one| one.label("request_operation") == operation);
            match found.and_then(Series::last) {
                Some(value) if at < 3 => format!("{value}"),
                Some(value) => Unit::Milliseconds.show(value),
                None => "0".to_owned(),
            }
        };
        let rows = operations.iter().map(|operation| {
            let cells = answers.iter().enumerate().map(|(at, series)| cell(operation, at, series));
            std::iter::once((*operation).to_owned()).chain(cells).collect()
        });
        let head = std::iter::once("operation".to_owned());
        Ok(Section {
            title: "Operations".to_owned(),
            text: "All requests of the run, as the server's sidecar counted them. What no condition matches is unknown."
                .to_owned(),
            body: Body::Table(
                head.chain(queries.iter().map(|query| query.0.clone())).collect(),
                rows.collect(),
            ),
            queries,
        })
    }

    async fn durations(&self) -> Result<Section> {
        let buckets = "sum by (request_operation, le) \
                       (istio_request_duration_milliseconds_bucket{reporter=\"destination\"})";
        let quantile = |q: &str| format!("histogram_quantile({q}, {buckets})");
        let queries = named(&[
            ("buckets", buckets),
            ("p50", &quantile("0.5")),
            ("p90", &quantile("0.9")),
            ("p99", &quantile("0.99")),
        ]);
        let mut answers = self.all(&queries, query::instant).await?.into_iter();
        let counted = answers.next().unwrap_or_default();
        let quantiles: Vec<(&str, Vec<Series>)> =
            ["p50", "p90", "p99"].into_iter().zip(answers).collect();
        Ok(Section {
            title: "How long it takes".to_owned(),
            text: "Share of an operation's requests in each bucket of its histogram, by the upper bound in milliseconds.".to_owned(),
            body: Body::Picture(draw::distributions(&counted, &quantiles, "request_operation")),
            queries,
        })
    }
}

fn picture(folder: &Path, name: &str, svg: &str) -> Result<()> {
    let file = folder.join(format!("{name}.svg"));
    fs::write(&file, svg).with_context(|| format!("cannot write {}", file.display()))
}

fn titled(title: &str) -> String {
    title.replace("$operation", CLOSE_UP).replace("$workload", "each workload")
}

fn named(queries: &[(&str, &str)]) -> Queries {
    queries.iter().map(|(name, expr)| ((*name).to_owned(), (*expr).to_owned())).collect()
}
