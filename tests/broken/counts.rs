//! What a mount counted between two scrapes, held against the rule.

use crate::cases::rule::{self, Counted, METRICS, Metric};
use crate::cases::{Broken, Version, Wrong};
use crate::traffic::{TIMES, TOTAL};
use std::collections::BTreeMap;
use support::fleet::Mounted;
use support::scrape::Scrape;
use support::series::Series;

/// Counts of a connection, and their amounts.
const CONNECTION: [(&str, f64); 4] = [
    ("tcp_connections_opened_total", 1.0),
    ("tcp_connections_closed_total", 1.0),
    ("tcp_received_bytes_total", 4.0),
    ("tcp_sent_bytes_total", 8.0),
];

const TOTAL_AND_MORE: u64 = TOTAL + 1;

/// The part of the configuration that sets the label `generation`.
const GENERATION: &str = "/metrics/0/dimensions/generation";

/// By how much series have risen.
#[derive(Debug)]
pub struct Rise(Vec<Series>);

// === impl Rise ===

impl Rise {
    /// What came between two scrapes.
    pub fn between(before: &Scrape, after: &Scrape) -> Self {
        let key = |s: &Series| (s.name.clone(), s.labels.clone());
        let known: BTreeMap<_, _> = before.series().iter().map(|s| (key(s), s.value)).collect();
        let risen = after.series().iter().map(|s| Series {
            value: s.value - known.get(&key(s)).copied().unwrap_or_default(),
            ..s.clone()
        });
        Self(risen.filter(|s| s.value != 0.0).collect())
    }

    /// The series of a mount for a metric, by its name without a prefix.
    pub fn of(&self, mount: &Mounted, metric: &str) -> Vec<&Series> {
        let service = |s: &&Series| {
            s.labels.get("destination_service_name").is_some_and(|name| *name == mount.name)
        };
        let metric = format!("_{metric}");
        self.0.iter().filter(|s| s.name.ends_with(&metric)).filter(service).collect()
    }

    /// How many requests or connections a mount counted.
    pub fn streams(&self, mount: &Mounted) -> f64 {
        let metric =
            if mount.layer.is_http() { "requests_total" } else { "tcp_connections_closed_total" };
        self.of(mount, metric).iter().map(|s| s.value).sum()
    }

    /// Whether all that is to be counted is: histograms come a little later than counters.
    pub fn is_complete(&self, mount: &Mounted) -> bool {
        if mount.layer.is_http() {
            let durations = self.of(mount, "request_duration_milliseconds_count");
            let durations: f64 = durations.iter().map(|s| s.value).sum();
            self.streams(mount) == TOTAL as f64 && durations == TOTAL as f64
        } else {
            self.streams(mount) == 1.0
        }
    }

    /// What is against the rule in what a mount counted; a mount that counts by the valid configuration has no case.
    pub fn problems(
        &self,
        mount: &Mounted,
        version: &Version,
        case: Option<&Broken>,
    ) -> Vec<String> {
        let valid = Broken {
            what: "the valid configuration".to_owned(),
            wrong: Wrong::Part,
            places: Vec::new(),
            text: Vec::new(),
        };
        let case = case.unwrap_or(&valid);
        if !mount.layer.is_http() {
            return self.of_connection(mount, version, case);
        }
        let requests = self.of(mount, "requests_total");
        let counted = [0, 1].map(|request| {
            let times = TIMES[request] as f64;
            // A configuration without labels of its own counts all of them as the same.
            let is_it = |s: &&&Series| s.value == times || s.value == TOTAL as f64;
            let series = requests.iter().find(is_it);
            let labels = series.map(|s| s.labels.clone()).unwrap_or_default();
            let labels = labels.into_iter().filter(|(_, value)| !value.is_empty()).collect();
            // Custom metrics have no standard labels, so only their own tell whose they are.
            let anonymous = |name| name == "custom_total" && case.touches(GENERATION);
            let times = |(name, valid, ..): &Metric| match anonymous(*name) {
                true => valid[request],
                false => self.times(mount, version, name, request),
            };
            let metrics =
                METRICS.iter().map(|metric| (metric.0.to_owned(), times(metric))).collect();
            Counted { labels, metrics }
        });
        rule::problems(case, &version.generation, &counted)
    }

    /// How often a metric counted a request. Each was sent a number of times of its own.
    fn times(&self, mount: &Mounted, version: &Version, metric: &str, request: usize) -> u64 {
        let series = match metric {
            "custom_total" => {
                let own = |s: &&Series| s.labels.get("generation") == Some(&version.generation);
                self.0.iter().filter(|s| s.name.ends_with("_custom_total")).filter(own).collect()
            }
            "requests_total" => self.of(mount, metric),
            histogram => self.of(mount, &format!("{histogram}_count")),
        };
        let sum: f64 = series.iter().map(|s| s.value).sum();
        match (request, sum as u64) {
            (_, too_many @ TOTAL_AND_MORE..) => too_many,
            (0, sum) => sum & 1,
            (_, sum) => sum >> 1,
        }
    }

    fn of_connection(&self, mount: &Mounted, version: &Version, case: &Broken) -> Vec<String> {
        if rule::may_disable(case) {
            return Vec::new();
        }
        let mut problems = Vec::new();
        for (metric, amount) in CONNECTION {
            let series = self.of(mount, metric);
            let sum = series.iter().fold(0.0, |sum, s| sum + s.value);
            if sum != amount {
                problems.push(format!("{metric} is {sum}, not {amount}"));
            }
            let own = |s: &&Series| s.labels.get("generation") == Some(&version.generation);
            let touched = case.touches(GENERATION) || case.touches("/limits");
            if !touched && !series.iter().all(own) {
                problems.push(format!("{metric} has not generation {}", version.generation));
            }
        }
        problems
    }
}
