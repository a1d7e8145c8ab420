//! Rates, shares and quantiles as Prometheus computes them, against what was sent.
//!
//! Bounds: totals are exact. A rate over a window is within 10 % (in the 6 to 7 s that its samples
//! span there is a tick of 0.2 s more or less at each end, 6 %, and a tick may be late). A share is within 0.02 absolutely. A quantile lies in the bucket
//! in which the true one lies, which the waits bound from below and the clients' own clocks from above.

use crate::mesh::Stack;
use crate::traffic::{self, CALLS, TCP_BYTES, TICK, TICKS, calls_in_a_tick, in_a_tick};
use crate::{Shared, mesh};
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use std::sync::Arc;
use std::time::Duration;

const CLIENTS: u32 = 2;
/// Largest error of a rate, relative.
const RATE_ERROR: f64 = 0.1;
/// Largest error of a share, absolute.
const SHARE_ERROR: f64 = 0.02;
/// Envoy's own bounds of histograms, in milliseconds, as far as they matter here.
const BOUNDS: [f64; 14] =
    [0.0, 0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0];
/// Reaches back over traffic only.
const WINDOW: &str = "7s";

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("numbers::totals_are_exact", totals),
        shared.trial("numbers::rates_are_what_was_sent", rates),
        shared.trial("numbers::increases_are_what_was_sent", increases),
        shared.trial("numbers::error_shares_are_what_was_answered", shares),
        shared.trial("numbers::quantiles_lie_in_the_right_bucket", quantiles),
        shared.trial("numbers::relabelling_keeps_the_metrics_and_drops_the_rest", relabelling),
    ]
}

async fn totals(stack: Arc<Stack>) -> Result<()> {
    let sent = f64::from(CLIENTS * stack.ticks);
    for reporter in ["source", "destination"] {
        for step in ["get_items", "create_items", "delete_item", "unknown"] {
            let requests = f64::from(in_a_tick(|s| s.operation == step));
            let expr = format!(
                r#"sum(istio_requests_total{{reporter="{reporter}", request_operation="{step}"}})"#
            );
            exactly(&stack, &expr, requests * sent).await?;
            let expr = expr.replace("requests_total", "request_duration_milliseconds_count");
            exactly(&stack, &expr, requests * sent).await?;
        }
        for (status, times) in CALLS {
            let expr = format!(
                r#"sum(istio_requests_total{{reporter="{reporter}", request_protocol="grpc", grpc_response_status="{status}"}})"#
            );
            exactly(&stack, &expr, f64::from(times) * sent).await?;
        }
        #[expect(clippy::cast_precision_loss, reason = "a hundred")]
        let bytes = TCP_BYTES as f64;
        for (metric, each) in [
            ("tcp_connections_opened_total", 1.0),
            ("tcp_connections_closed_total", 1.0),
            ("tcp_received_bytes_total", bytes),
            ("tcp_sent_bytes_total", 2.0 * bytes),
        ] {
            let expr = format!(r#"sum(istio_{metric}{{reporter="{reporter}"}})"#);
            exactly(&stack, &expr, each * sent).await?;
        }
    }
    Ok(())
}

async fn exactly(stack: &Stack, expr: &str, expected: f64) -> Result<()> {
    let series = stack.prometheus.now(expr).await?;
    let found = series.first().and_then(opmeter_boards::answer::Series::last);
    ensure!(found == Some(expected), "{found:?} instead of {expected}: {expr}");
    Ok(())
}

async fn rates(stack: Arc<Stack>) -> Result<()> {
    let per_second = f64::from(CLIENTS) / TICK.as_secs_f64();
    for operation in ["get_items", "create_items", "delete_item", "unknown"] {
        let expected = per_second * f64::from(in_a_tick(|step| step.operation == operation));
        let expr = format!(
            r#"sum(rate(istio_requests_total{{reporter="destination", request_operation="{operation}"}}[{WINDOW}]))"#
        );
        within(&stack, &expr, expected, RATE_ERROR * expected).await?;
    }
    let calls = per_second * f64::from(calls_in_a_tick());
    let expr = format!(
        r#"sum(rate(istio_requests_total{{reporter="source", request_protocol="grpc"}}[{WINDOW}]))"#
    );
    within(&stack, &expr, calls, RATE_ERROR * calls).await
}

async fn increases(stack: Arc<Stack>) -> Result<()> {
    let sent = f64::from(CLIENTS * TICKS);
    let expected = sent * f64::from(in_a_tick(|_| true));
    let expr = format!(
        r#"sum(increase(istio_requests_total{{reporter="destination", request_protocol="http"}}[{}ms]))"#,
        whole().as_millis()
    );
    let time = stack.end + 1.5 * mesh::INTERVAL.as_secs_f64();
    let found = stack.prometheus.one_at(&expr, time).await?;
    let error = RATE_ERROR * expected;
    ensure!((found - expected).abs() <= error, "{found} instead of {expected}: {expr}");
    Ok(())
}

async fn shares(stack: Arc<Stack>) -> Result<()> {
    for (operation, failed) in [
        ("create_items", in_a_tick(|step| step.status == 503)),
        ("get_items", 0),
        ("delete_item", 0),
    ] {
        let all = in_a_tick(|step| step.operation == operation);
        let share = f64::from(failed) / f64::from(all);
        let of = |code: &str| {
            format!(
                r#"sum(rate(istio_requests_total{{reporter="destination", request_operation="{operation}"{code}}}[{WINDOW}]))"#
            )
        };
        let expr = format!(r#"(({}) or vector(0)) / {}"#, of(r#", response_code=~"5..""#), of(""));
        within(&stack, &expr, share, SHARE_ERROR).await?;
        let recorded = format!(
            r#"operation:istio_request_errors:ratio_rate5m{{reporter="destination", request_operation="{operation}"}}"#
        );
        within(&stack, &recorded, share, SHARE_ERROR).await?;
    }
    // A gRPC failure has the HTTP code 200.
    let failed: u32 = CALLS.iter().filter(|call| call.0 != 0).map(|call| call.1).sum();
    let share = f64::from(failed) / f64::from(calls_in_a_tick());
    let recorded = r#"operation:istio_request_errors:ratio_rate5m{reporter="destination", request_operation="get_rating"}"#;
    within(&stack, recorded, share, SHARE_ERROR).await
}

async fn quantiles(stack: Arc<Stack>) -> Result<()> {
    // 40 % of the reads do not wait, 40 % wait 35 ms and 20 % 320 ms.
    let waits = traffic::STEPS.iter().filter(|step| step.operation == "get_items");
    assert_eq!(
        waits.map(|step| (step.wait, step.times)).collect::<Vec<_>>(),
        [(0, 2), (35, 2), (320, 1)]
    );
    // Each request takes longer in the application than asked, longer at the server's sidecar, at the client's, and longest
    // for the client itself; so do the quantiles. On a quiet machine the client's lies in the same bucket.
    for (quantile, wait) in [(0.2, 0.0), (0.6, 35.0), (0.9, 320.0)] {
        let (low, _) = bucket(wait);
        let (_, high) = bucket(seen(&stack.reads, quantile));
        for reporter in ["source", "destination"] {
            let expr = format!(
                r#"histogram_quantile({quantile}, sum by (le) (rate(istio_request_duration_milliseconds_bucket{{reporter="{reporter}", request_operation="get_items"}}[{}ms])))"#,
                whole().as_millis()
            );
            let time = stack.end + 1.5 * mesh::INTERVAL.as_secs_f64();
            let found = stack.prometheus.one_at(&expr, time).await?;
            ensure!(low <= found && found <= high, "{found} outside {low}..{high}: {expr}");
        }
    }
    // Three of five reads take longer than the 10 ms of the objective, and no more than take so long for the client.
    let missed = r#"operation:slo_read_misses:ratio_rate5m{request_operation="get_items"}"#;
    let found = stack.prometheus.one_at(missed, stack.end).await?;
    let late = stack.reads.iter().filter(|read| **read > Duration::from_millis(10)).count();
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let most = late as f64 / stack.reads.len() as f64;
    ensure!(
        0.6 - SHARE_ERROR <= found && found <= most + SHARE_ERROR,
        "{found} of the reads missed, and {most} for the clients"
    );
    Ok(())
}

/// From before the first tick, when nothing was sent, to after the last.
fn whole() -> Duration {
    TICK * TICKS + 3 * mesh::INTERVAL
}

/// The quantile of sorted durations, in milliseconds.
fn seen(sorted: &[Duration], quantile: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "some hundreds"
    )]
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |duration| duration.as_secs_f64() * 1000.0)
}

/// The bounds between which a duration lies.
fn bucket(milliseconds: f64) -> (f64, f64) {
    let at = BOUNDS.iter().position(|bound| milliseconds < *bound).unwrap_or(BOUNDS.len() - 1);
    (if at == 0 { 0.0 } else { BOUNDS[at - 1] }, BOUNDS[at])
}

async fn relabelling(stack: Arc<Stack>) -> Result<()> {
    let kept = r#"scrape_samples_post_metric_relabeling{job="envoy-sidecars"}"#;
    let exposed = r#"scrape_samples_scraped{job="envoy-sidecars"}"#;
    let less = format!("{kept} < {exposed} / 2");
    ensure!(stack.prometheus.now(&less).await?.len() == 3, "{less}");
    let others = r#"count by (__name__) ({job="envoy-sidecars", __name__!~"istio_.+|opmeter_.+|envoy_(server|wasm|listener_manager|cluster_upstream)_.+|up|scrape_.+"})"#;
    let found = stack.prometheus.now(others).await?;
    ensure!(found.is_empty(), "{found:?}");
    for needed in ["envoy_server_memory_allocated", "envoy_server_live", "istio_build"] {
        let found = stack.prometheus.now(needed).await?;
        ensure!(found.len() == 3, "{} of {needed}", found.len());
        ensure!(found.iter().all(|series| !series.label("pod").is_empty()), "{found:?}");
    }
    Ok(())
}

/// The value at the end of the traffic is this, give or take.
async fn within(stack: &Stack, expr: &str, expected: f64, error: f64) -> Result<()> {
    let found = stack.prometheus.one_at(expr, stack.end).await?;
    ensure!((found - expected).abs() <= error, "{found} instead of {expected} ± {error}: {expr}");
    Ok(())
}
