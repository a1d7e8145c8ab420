//! A second Prometheus that takes the allowed series of the first.

use crate::Shared;
use crate::mesh::Stack;
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("federation::totals_are_equal", totals),
        shared.trial("federation::what_nobody_named_stays", allowed),
    ]
}

async fn totals(stack: Arc<Stack>) -> Result<()> {
    for expr in [
        "sum by (reporter) (istio_requests_total)",
        "count by (reporter) (istio_requests_total)",
        "sum by (pod, request_operation, response_code) (istio_requests_total)",
        "sum by (le) (istio_request_duration_milliseconds_bucket)",
        "sum by (reporter, request_operation) (istio_request_duration_milliseconds_sum)",
        "sum by (instance, job) (opmeter_host_errors_total)",
        "count by (request_operation) (operation:istio_requests:rate5m)",
        r#"sum by (pod) (up{job="envoy-sidecars"})"#,
    ] {
        // It scrapes at its own times.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (mut own, mut taken) =
                (stack.prometheus.now(expr).await?, stack.federating.now(expr).await?);
            ensure!(!own.is_empty(), "nothing for {expr}");
            for series in own.iter_mut().chain(&mut taken) {
                series.points.iter_mut().for_each(|point| point.0 = 0.0);
            }
            own.sort_by(|a, b| a.labels.cmp(&b.labels));
            taken.sort_by(|a, b| a.labels.cmp(&b.labels));
            if own == taken {
                break;
            }
            ensure!(Instant::now() < deadline, "{expr}:\n{own:?}\nfederated:\n{taken:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

async fn allowed(stack: Arc<Stack>) -> Result<()> {
    for name in ["istio_request_bytes_bucket", "envoy_server_live", "scrape_samples_scraped"] {
        let of = format!(r#"{name}{{job="envoy-sidecars"}}"#);
        ensure!(!stack.prometheus.now(&of).await?.is_empty(), "{of}");
        ensure!(stack.federating.now(&of).await?.is_empty(), "{of} is federated");
    }
    Ok(())
}
