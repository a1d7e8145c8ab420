//! What must not happen, made to happen: the alerts and the dashboard of proxies on sidecars in trouble.
//!
//! | pod | its trouble |
//! | --- | --- |
//! | `full` | more label sets than its series budget |
//! | `refused` | an update with a configuration that is refused |
//! | `failing` | an expression that cannot be evaluated |
//! | `bare` | no module |
//! | `gone` | ended after it was scraped |

use crate::Shared;
use crate::mesh::{INTERVAL, Stack, scraping};
use anyhow::{Context, Result, ensure};
use http_body_util::Full;
use hyper::Request;
use libtest_mimic::Trial;
use opmeter_boards::dashboard;
use opmeter_boards::query::Fill;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::app::App;
use support::envoy::Envoy;
use support::http;
use support::mesh::{Sidecar, Updates};
use support::prometheus::Prometheus;

/// Longest wait for alerts.
const PATIENCE: Duration = Duration::from_secs(20);
/// Label sets that the sidecar `full` may have, an eighth of them for folded ones.
const BUDGET: u32 = 24;
/// Its requests, each of another path.
const PATHS: u32 = 60;

const FIRING: &str = r#"ALERTS{alertstate="firing"}"#;

/// Alert and pod.
type Alerts = BTreeSet<(String, String)>;

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("trouble::a_healthy_mesh_burns_its_budget_and_nothing_else", healthy),
        shared.alone("trouble::each_sidecar_fires_its_alert_and_shows_it", each),
        shared.alone("trouble::a_prometheus_without_targets_tells", nothing),
    ]
}

/// Three of five reads take longer than the objective allows: every window burns.
async fn healthy(stack: Arc<Stack>) -> Result<()> {
    let windows: Vec<_> = ["1h", "6h", "1d", "3d"].into_iter().map(str::to_owned).collect();
    let burning = r#"ALERTS{alertname="OpmeterReadBudgetBurn", alertstate="firing", request_operation="get_items"}"#;
    let found = stack.prometheus.now(burning).await?;
    let found: BTreeSet<_> = found.iter().map(|one| one.label("window").to_owned()).collect();
    ensure!(found == BTreeSet::from_iter(windows), "{found:?}");
    let others = r#"ALERTS{alertname!="OpmeterReadBudgetBurn"}"#;
    let others = stack.prometheus.now(others).await?;
    ensure!(others.is_empty(), "{others:?}");
    Ok(())
}

async fn each(envoy: PathBuf, binary: PathBuf) -> Result<()> {
    let app = App::start(&[]).await?;
    let mut updated = sidecar(app.port, "{}");
    updated.updates = Updates::Listener;
    let limited = format!(
        r#"{{"limits": {{"max_series": {BUDGET}}}, "metrics": [{{"dimensions": {{"path": "request.path"}}}}]}}"#
    );
    let failing =
        r#"{"metrics": [{"dimensions": {"path": "string(int(request.headers['x-number']))"}}]}"#;
    let mut bare = sidecar(app.port, "{}");
    bare.filter = false;
    let full = sidecar(app.port, &limited).start(&envoy).await?;
    let failing = sidecar(app.port, failing).start(&envoy).await?;
    let refused = updated.start(&envoy).await?;
    let bare = bare.start(&envoy).await?;
    let gone = sidecar(app.port, "{}").start(&envoy).await?;
    let (_rules, config) = scraping(&[
        (&full, "full"),
        (&refused, "refused"),
        (&failing, "failing"),
        (&bare, "bare"),
        (&gone, "gone"),
    ])?;
    let prometheus = Prometheus::start(&binary, &config).await?;
    // All are scraped before anything happens, so that everything can be seen to grow.
    prometheus.when(r#"count(up == 1) == 5"#).await?;
    prometheus.when(r#"count(opmeter_series_overflow_total == 0) == 4"#).await?;
    drop(gone);
    updated.config = r#"{"metric": []}"#.to_owned();
    updated.update(&refused)?;
    for path in 0..PATHS {
        send(&full, &format!("/{path}")).await?;
    }
    send(&failing, "/").await?;

    let expected: Alerts = [
        ("OpmeterSeriesOverflow", "full"),
        ("OpmeterConfigurationProblems", "refused"),
        ("OpmeterEvaluationErrors", "failing"),
        ("OpmeterModuleMissing", "bare"),
        ("OpmeterScrapeMissing", "gone"),
    ]
    .map(|(alert, pod)| (alert.to_owned(), pod.to_owned()))
    .into();
    alerts(&prometheus, &expected).await?;
    shown(&prometheus).await
}

/// The dashboard of proxies shows the trouble where a person looks for it.
async fn shown(prometheus: &Prometheus) -> Result<()> {
    // One is kept for all that find no room: their other labels are the same.
    let kept = f64::from(BUDGET - BUDGET / 8 + 1);
    let folded = f64::from(PATHS) - (kept - 1.0);
    let total = one(prometheus, "sum(opmeter_series_overflow_total)", "").await?;
    ensure!(total == folded, "{total} instead of {folded} streams were folded");
    let counted = one(prometheus, r#"sum(istio_requests_total{pod="full"})"#, "").await?;
    ensure!(counted == f64::from(PATHS), "{counted} requests");
    let sets = of_panel(prometheus, "Label sets", "{{pod}}", "full").await?;
    ensure!(sets == kept, "{sets} instead of {kept} label sets");
    // increase() reaches beyond the samples it sees, by less than two intervals.
    let beyond = of_panel(prometheus, "Label sets beyond the limit", "overflow", "full").await?;
    ensure!(beyond >= folded, "{beyond} instead of {folded} beyond the limit");
    for (legend, pod) in
        [("configuration, {{pod}}", "refused"), ("expressions, {{pod}}", "failing")]
    {
        let problems = of_panel(prometheus, "Problems the module saw", legend, pod).await?;
        ensure!(problems >= 1.0, "{problems} problems of {pod}");
    }
    let down = of_panel(prometheus, "Sidecars scraped", "down", ".*").await?;
    let with = of_panel(prometheus, "Sidecars with the module", "{{tag}}", ".*").await?;
    ensure!((down, with) == (1.0, 3.0), "{down} down, {with} with the module");
    Ok(())
}

async fn nothing(_: PathBuf, binary: PathBuf) -> Result<()> {
    let (_rules, config) = scraping(&[])?;
    let prometheus = Prometheus::start(&binary, &config).await?;
    alerts(&prometheus, &[("OpmeterNothingScraped".to_owned(), String::new())].into()).await
}

fn sidecar(upstream: u16, config: &str) -> Sidecar {
    let mut sidecar = Sidecar::ratings(upstream);
    sidecar.config = config.to_owned();
    sidecar.dimensions = vec!["path".to_owned()];
    sidecar
}

async fn send(proxy: &Envoy, path: &str) -> Result<()> {
    let request = Request::get(path).header("host", "ratings").header("x-number", "seven");
    let answer = http::call(proxy.traffic_port, request.body(Full::default())?).await?;
    ensure!(answer.status() == 200, "{path} was answered {}", answer.status());
    Ok(())
}

/// Waits until these fire, and no others.
async fn alerts(prometheus: &Prometheus, expected: &Alerts) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let firing = prometheus.now(FIRING).await?;
        let firing: Alerts = firing
            .iter()
            .map(|one| (one.label("alertname").to_owned(), one.label("pod").to_owned()))
            .collect();
        if &firing == expected {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{firing:?} instead of {expected:?}");
        tokio::time::sleep(INTERVAL / 4).await;
    }
}

/// The value of a panel's expression with one pod picked.
async fn of_panel(prometheus: &Prometheus, title: &str, legend: &str, pod: &str) -> Result<f64> {
    let board = dashboard::all().into_iter().find(|board| board.uid == "opmeter-proxies");
    let board = board.context("no dashboard of proxies")?;
    let panel = board.panel(title).with_context(|| title.to_owned())?;
    let query = panel.queries.iter().find(|query| query.legend == legend);
    let expr = &query.with_context(|| legend.to_owned())?.expr;
    one(prometheus, expr, pod).await
}

async fn one(prometheus: &Prometheus, expr: &str, pod: &str) -> Result<f64> {
    let fill = Fill { rate_interval: "1m", values: &[("pod", pod)] };
    let expr = fill.expr(expr);
    let series = prometheus.now(&expr).await?;
    ensure!(series.len() == 1, "{series:?} of {expr}");
    series[0].last().context("no value")
}
