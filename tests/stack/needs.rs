//! What Istio's Grafana dashboards and Kiali ask, as they ask it; each has to return data.
//!
//! Expressions follow istio/istio `manifests/addons/dashboards` and kiali/kiali `graph/telemetry/istio` and
//! `business/metrics`, with their ranges shortened to this mesh's life.

use crate::Shared;
use crate::mesh::Stack;
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use std::sync::Arc;

/// The labels Kiali's graph groups requests by.
const KIALI: &str = "source_cluster, source_workload_namespace, source_workload, source_canonical_service, \
    source_canonical_revision, destination_cluster, destination_service_namespace, destination_service, \
    destination_service_name, destination_workload_namespace, destination_workload, destination_canonical_service, \
    destination_canonical_revision, request_protocol, response_code, grpc_response_status, response_flags";
/// The labels without which Kiali skips a series of requests.
const IDENTITY: [&str; 14] = [
    "source_workload_namespace",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "destination_service_namespace",
    "destination_service",
    "destination_service_name",
    "destination_workload_namespace",
    "destination_workload",
    "destination_canonical_service",
    "destination_canonical_revision",
    "request_protocol",
    "response_code",
    "response_flags",
];
/// The same for TCP, where there is no response code.
const TCP_IDENTITY: [&str; 12] = [
    "source_workload_namespace",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "destination_service_namespace",
    "destination_service",
    "destination_service_name",
    "destination_workload_namespace",
    "destination_workload",
    "destination_canonical_service",
    "destination_canonical_revision",
    "response_flags",
];

/// Istio's dashboards: a name, and an expression in which `W` stands for the range.
const ISTIO: [(&str, &str); 27] = [
    // Mesh dashboard.
    (
        "mesh::requests",
        r#"round(sum(rate(istio_requests_total{reporter=~"source|waypoint"}[W])), 0.01)"#,
    ),
    (
        "mesh::success",
        r#"sum(rate(istio_requests_total{reporter=~"source|waypoint", response_code!~"5.*"}[W])) / sum(rate(istio_requests_total{reporter=~"source|waypoint"}[W]))"#,
    ),
    (
        "mesh::4xx",
        r#"sum(rate(istio_requests_total{reporter=~"source|waypoint", response_code=~"4.*"}[W]))"#,
    ),
    (
        "mesh::5xx",
        r#"sum(rate(istio_requests_total{reporter=~"source|waypoint", response_code=~"5.*"}[W]))"#,
    ),
    (
        "mesh::http_and_grpc_workloads",
        r#"label_join(sum(rate(istio_requests_total{reporter=~"source|waypoint"}[W])) by (destination_workload, destination_workload_namespace, destination_service), "destination_workload_var", ".", "destination_workload", "destination_workload_namespace")"#,
    ),
    (
        "mesh::p50",
        r#"label_join(histogram_quantile(0.50, sum(rate(istio_request_duration_milliseconds_bucket{reporter=~"source|waypoint"}[W])) by (le, destination_workload, destination_workload_namespace)), "destination_workload_var", ".", "destination_workload", "destination_workload_namespace")"#,
    ),
    (
        "mesh::workload_success",
        r#"sum(rate(istio_requests_total{reporter=~"source|waypoint", response_code!~"5.*"}[W])) by (destination_workload, destination_workload_namespace) / sum(rate(istio_requests_total{reporter=~"source|waypoint"}[W])) by (destination_workload, destination_workload_namespace)"#,
    ),
    (
        "mesh::tcp_received",
        r#"sum(rate(istio_tcp_received_bytes_total{reporter=~"source|waypoint"}[W])) by (destination_workload, destination_workload_namespace, destination_service)"#,
    ),
    (
        "mesh::tcp_sent",
        r#"sum(rate(istio_tcp_sent_bytes_total{reporter=~"source|waypoint"}[W])) by (destination_workload, destination_workload_namespace, destination_service)"#,
    ),
    ("mesh::components", "sum(istio_build) by (component, tag)"),
    // Service dashboard.
    (
        "service::services",
        r#"sum(istio_requests_total{reporter=~"destination"}) by (destination_service)"#,
    ),
    (
        "service::client_requests",
        r#"round(sum(irate(istio_requests_total{reporter=~"source", destination_service=~"ratings.*"}[W])), 0.001)"#,
    ),
    (
        "service::client_durations",
        r#"histogram_quantile(0.90, sum(irate(istio_request_duration_milliseconds_bucket{reporter=~"source", destination_service=~"ratings.*"}[W])) by (le)) or histogram_quantile(0.90, sum(irate(istio_request_duration_seconds_bucket{reporter=~"source", destination_service=~"ratings.*"}[W])) by (le)) * 1000"#,
    ),
    (
        "service::incoming_mtls",
        r#"round(sum(irate(istio_requests_total{connection_security_policy="mutual_tls", reporter=~"destination", destination_service=~"ratings.*"}[W])) by (source_workload, source_workload_namespace, response_code), 0.001)"#,
    ),
    (
        "service::incoming_plain",
        r#"round(sum(irate(istio_requests_total{connection_security_policy!="mutual_tls", reporter=~"destination", destination_service=~"ratings.*"}[W])) by (source_workload, source_workload_namespace, response_code), 0.001)"#,
    ),
    (
        "service::request_size",
        r#"histogram_quantile(0.99, sum(irate(istio_request_bytes_bucket{connection_security_policy="mutual_tls", reporter=~"destination", destination_service=~"ratings.*"}[W])) by (source_workload, source_workload_namespace, le))"#,
    ),
    (
        "service::response_size",
        r#"histogram_quantile(0.95, sum(irate(istio_response_bytes_bucket{connection_security_policy!="mutual_tls", reporter=~"destination", destination_service=~"ratings.*"}[W])) by (source_workload, source_workload_namespace, le))"#,
    ),
    (
        "service::tcp_received_mtls",
        r#"sum(irate(istio_tcp_received_bytes_total{reporter=~"destination", connection_security_policy="mutual_tls", destination_service=~"ratings.*"}[W]))"#,
    ),
    (
        "service::tcp_sent_plain",
        r#"sum(irate(istio_tcp_sent_bytes_total{reporter=~"destination", connection_security_policy!="mutual_tls", destination_service=~"ratings.*"}[W]))"#,
    ),
    // Workload dashboard.
    (
        "workload::incoming",
        r#"round(sum(irate(istio_requests_total{reporter="destination", destination_workload_namespace=~"shop", destination_workload=~"ratings-v1"}[W])) by (source_workload, source_workload_namespace, response_code), 0.001)"#,
    ),
    (
        "workload::incoming_success",
        r#"sum(irate(istio_requests_total{reporter="destination", destination_workload=~"ratings-v1", response_code!~"5.*"}[W])) by (source_workload) / sum(irate(istio_requests_total{reporter="destination", destination_workload=~"ratings-v1"}[W])) by (source_workload)"#,
    ),
    (
        "workload::outgoing",
        r#"round(sum(irate(istio_requests_total{destination_principal=~"spiffe.*", source_workload=~"productpage-v1", source_workload_namespace=~"default", reporter="source"}[W])) by (destination_service, response_code), 0.001)"#,
    ),
    (
        "workload::outgoing_plain",
        r#"round(sum(irate(istio_requests_total{destination_principal!~"spiffe.*", source_workload=~"storefront-v1", reporter="source"}[W])) by (destination_service, response_code), 0.001)"#,
    ),
    (
        "workload::outgoing_tcp",
        r#"round(sum(irate(istio_tcp_sent_bytes_total{reporter="source", source_workload=~"productpage-v1"}[W])) by (destination_service), 0.001)"#,
    ),
    // Performance and Wasm extension dashboards.
    ("performance::memory", "sum(envoy_server_memory_allocated)"),
    ("extension::vms", "sum(envoy_wasm_envoy_wasm_runtime_v8_active)"),
    ("extension::created", "sum(envoy_wasm_envoy_wasm_runtime_v8_created)"),
];

/// Kiali's other questions.
const KIALI_OTHERS: [(&str, &str); 17] = [
    (
        "tcp_sent",
        r#"sum(rate(istio_tcp_received_bytes_total{reporter="source"}[W])) by (source_workload_namespace, source_workload, destination_service_namespace, destination_service_name, destination_workload, connection_security_policy) > 0"#,
    ),
    (
        "tcp_received",
        r#"sum(rate(istio_tcp_sent_bytes_total{reporter="destination"}[W])) by (source_workload_namespace, source_workload, destination_service_namespace, destination_service_name, destination_workload) > 0"#,
    ),
    (
        "grpc_messages_sent",
        r#"sum(rate(istio_request_messages_total{reporter="source"}[W])) by (source_workload, destination_workload, destination_service_name) > 0"#,
    ),
    (
        "grpc_messages_received",
        r#"sum(rate(istio_response_messages_total{reporter="destination"}[W])) by (source_workload, destination_workload, destination_service_name) > 0"#,
    ),
    (
        "lock_badge",
        r#"sum(rate(istio_requests_total{reporter="destination", connection_security_policy="mutual_tls", source_principal=~"spiffe://.+/sa/productpage", destination_principal=~"spiffe://.+/sa/ratings"}[W])) by (source_workload, destination_workload, source_principal, destination_principal, connection_security_policy) > 0"#,
    ),
    (
        "lock_badge_tcp",
        r#"sum(rate(istio_tcp_sent_bytes_total{reporter="destination", connection_security_policy="mutual_tls", source_principal=~"spiffe://.+", destination_principal=~"spiffe://.+"}[W])) by (source_principal, destination_principal) > 0"#,
    ),
    (
        "no_lock_badge",
        r#"sum(rate(istio_requests_total{reporter="destination", source_workload="storefront-v1", connection_security_policy!="mutual_tls"}[W])) by (source_workload) > 0"#,
    ),
    (
        "response_times",
        r#"histogram_quantile(0.95, sum(rate(istio_request_duration_milliseconds_bucket{reporter="destination"}[W])) by (le, source_workload, destination_workload, request_protocol)) > 0"#,
    ),
    (
        "average_response_time",
        r#"sum(rate(istio_request_duration_milliseconds_sum{reporter="destination"}[W])) by (destination_service_name) / sum(rate(istio_request_duration_milliseconds_count{reporter="destination"}[W])) by (destination_service_name) > 0"#,
    ),
    (
        "operations",
        r#"sum(rate(istio_requests_total{reporter="destination", request_operation!="unknown"}[W])) by (source_workload, destination_service, request_operation) > 0"#,
    ),
    (
        "operation_response_times",
        r#"sum(rate(istio_request_duration_milliseconds_sum{reporter="destination", request_operation!="unknown"}[W])) by (request_operation) / sum(rate(istio_request_duration_milliseconds_count{reporter="destination", request_operation!="unknown"}[W])) by (request_operation) > 0"#,
    ),
    (
        "errors",
        r#"sum(rate(istio_requests_total{reporter="destination", destination_canonical_service="ratings-service", response_code=~"^0$|^[4-5]\\d\\d$"}[W]))"#,
    ),
    (
        "grpc_errors",
        r#"sum(rate(istio_requests_total{reporter="destination", destination_canonical_service="ratings-service", request_protocol="grpc", grpc_response_status=~"^[1-9]$|^1[0-6]$", response_code!~"^0$|^[4-5]\\d\\d$"}[W]))"#,
    ),
    (
        "health_in",
        r#"rate(istio_requests_total{reporter=~"destination|waypoint", destination_service_name="ratings", destination_service_namespace="shop"}[W]) > 0"#,
    ),
    (
        "health_out",
        r#"rate(istio_requests_total{reporter="source", source_workload="productpage-v1", source_workload_namespace="default"}[W]) > 0"#,
    ),
    (
        "request_size_of_revision",
        r#"histogram_quantile(0.5, sum(rate(istio_request_bytes_bucket{reporter="destination"}[W])) by (le, destination_canonical_service, destination_canonical_revision, response_code))"#,
    ),
    (
        "response_size_average",
        r#"sum(rate(istio_response_bytes_sum{reporter="source"}[W])) by (source_canonical_service) / sum(rate(istio_response_bytes_count{reporter="source"}[W])) by (source_canonical_service)"#,
    ),
];

pub fn trials(shared: &Shared) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (group, asked) in [("istio", &ISTIO[..]), ("kiali", &KIALI_OTHERS)] {
        for (name, expr) in asked {
            let expr = expr.replace("[W]", "[7s]");
            trials.push(shared.trial(format!("{group}::{name}"), |stack| data(stack, expr)));
        }
    }
    for reporter in ["source", "destination"] {
        for protocol in ["http", "grpc"] {
            // Each edge over mutual TLS and over plain text.
            for source in ["productpage-v1", "storefront-v1"] {
                let expr = format!(
                    r#"sum(rate(istio_requests_total{{reporter="{reporter}", source_workload="{source}", request_protocol="{protocol}"}}[7s])) by ({KIALI}) > 0"#
                );
                let name = format!("kiali::graph::{reporter}::{protocol}::{source}");
                trials.push(shared.trial(name, |stack| edges(stack, expr)));
            }
        }
    }
    trials.extend(metrics_tabs(shared));
    trials.push(shared.trial("kiali::no_request_lacks_an_identity", |stack| {
        identities(stack, "istio_requests_total", &IDENTITY)
    }));
    trials.push(shared.trial("kiali::no_connection_lacks_an_identity", |stack| {
        identities(stack, "istio_tcp_sent_bytes_total", &TCP_IDENTITY)
    }));
    trials.push(shared.trial("kiali::no_known_end_lacks_its_cluster", clusters));
    trials
}

/// Kiali's metrics tabs, outbound of an application and inbound of another: every counter's rate, every histogram's average and
/// quantiles.
fn metrics_tabs(shared: &Shared) -> Vec<Trial> {
    const COUNTERS: [&str; 7] = [
        "requests_total",
        "request_messages_total",
        "response_messages_total",
        "tcp_received_bytes_total",
        "tcp_sent_bytes_total",
        "tcp_connections_opened_total",
        "tcp_connections_closed_total",
    ];
    const HISTOGRAMS: [&str; 3] =
        ["request_duration_milliseconds", "request_bytes", "response_bytes"];
    let mut asked = Vec::new();
    for (reporter, application) in [("source", "productpage"), ("destination", "ratings")] {
        let by = format!("{reporter}_canonical_service, {reporter}_canonical_revision");
        let of = |metric: &str| {
            format!(
                r#"rate(istio_{metric}{{reporter="{reporter}", {reporter}_canonical_service="{application}-service"}}[7s])"#
            )
        };
        for counter in COUNTERS {
            asked.push((
                format!("{reporter}::{counter}"),
                format!("sum({}) by ({by}) > 0", of(counter)),
            ));
        }
        for histogram in HISTOGRAMS {
            let [sum, count, bucket] =
                ["sum", "count", "bucket"].map(|part| of(&format!("{histogram}_{part}")));
            let by = format!("{by}, response_code");
            let average = format!("sum({sum}) by ({by}) / sum({count}) by ({by}) > 0");
            asked.push((format!("{reporter}::{histogram}::average"), average));
            for quantile in ["0.5", "0.9", "0.95", "0.99"] {
                asked.push((
                    format!("{reporter}::{histogram}::{quantile}"),
                    format!("histogram_quantile({quantile}, sum({bucket}) by (le, {by})) > 0"),
                ));
            }
        }
    }
    let trials = asked
        .into_iter()
        .map(|(name, expr)| shared.trial(format!("kiali::tab::{name}"), |stack| data(stack, expr)));
    trials.collect()
}

async fn data(stack: Arc<Stack>, expr: String) -> Result<()> {
    let series = stack.prometheus.at(&expr, stack.end).await?;
    let finite = series.iter().filter(|series| series.last().is_some_and(f64::is_finite));
    ensure!(finite.count() > 0, "no data for {expr}: {series:?}");
    Ok(())
}

/// Every series has all the labels by which Kiali would skip it.
async fn edges(stack: Arc<Stack>, expr: String) -> Result<()> {
    let series = stack.prometheus.at(&expr, stack.end).await?;
    ensure!(!series.is_empty(), "no data for {expr}");
    for one in &series {
        let missing: Vec<_> = IDENTITY.iter().filter(|name| one.label(name).is_empty()).collect();
        ensure!(missing.is_empty(), "{missing:?} missing in {:?}", one.labels);
        ensure!(one.label("source_workload") != "unknown", "{:?}", one.labels);
        ensure!(one.label("destination_workload") == "ratings-v1", "{:?}", one.labels);
        let status = one.label("grpc_response_status");
        ensure!(status.is_empty() == (one.label("request_protocol") == "http"), "{status}");
    }
    Ok(())
}

async fn identities(stack: Arc<Stack>, metric: &str, labels: &[&str]) -> Result<()> {
    ensure!(!stack.prometheus.now(metric).await?.is_empty(), "no {metric}");
    for label in labels {
        let without = stack.prometheus.now(&format!(r#"{metric}{{{label}=""}}"#)).await?;
        ensure!(without.is_empty(), "without {label}: {without:?}");
    }
    Ok(())
}

/// A namespace that is known beside a cluster that is not makes Kiali skip the series.
async fn clusters(stack: Arc<Stack>) -> Result<()> {
    for skipped in [
        r#"istio_requests_total{source_workload_namespace!="unknown", source_cluster="unknown"}"#,
        r#"istio_requests_total{destination_service_namespace!="unknown", destination_cluster="unknown", source_cluster="unknown"}"#,
        r#"istio_requests_total{source_workload_namespace!="unknown", source_workload="unknown", source_canonical_service="unknown"}"#,
    ] {
        let series = stack.prometheus.now(skipped).await?;
        ensure!(series.is_empty(), "{skipped}: {series:?}");
    }
    Ok(())
}
