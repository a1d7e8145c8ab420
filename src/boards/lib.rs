//! What people see of the metrics, as code: recording rules and alerts, Grafana dashboards, pictures and a page.
//!
//! ```text
//! rules      -> envoy/prometheus/rules, PrometheusRule
//! dashboard  -> envoy/grafana/dashboards
//!           \-> query -> (a Prometheus, asked by the caller) -> answer -> draw -> SVG -> page
//! ```
//! Nothing here talks to a network: [`query`] says what to ask, [`answer`] reads what came back. [`files`] lists what is
//! checked in; `make generated` writes it.
#![forbid(unsafe_code)]

pub mod answer;
pub mod dashboard;
pub mod draw;
pub mod files;
pub mod page;
pub mod query;
pub mod rules;
