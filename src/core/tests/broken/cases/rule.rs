//! What may come of a configuration that something is wrong with.
//!
//! What is right is in force; what is wrong is left out, so that nothing applies to more than in the valid configuration: what
//! a request's metrics are lies between what the valid configuration and an empty one make of it.

use super::{Broken, Wrong};
use std::collections::BTreeMap;

/// Requests that are sent: method and path.
pub const REQUESTS: [(&str, &str); 2] = [("GET", "/items/7"), ("POST", "/items")];

/// What a request was counted as.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// Labels of `requests_total`, those without a value left out.
    pub labels: BTreeMap<String, String>,
    /// How often it was counted by each metric, by names without a prefix.
    pub metrics: BTreeMap<String, u64>,
}

/// A label that the valid configuration sets or removes.
#[derive(Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its value under the valid configuration, by request; `None` where there is no such label.
    pub valid: [Option<&'static str>; 2],
    /// Whether it is one of the standard labels, so that an empty configuration has it.
    pub standard: bool,
    /// The parts of the configuration that make it.
    pub from: &'static [&'static str],
}

const fn own(
    name: &'static str,
    valid: [Option<&'static str>; 2],
    from: &'static [&'static str],
) -> Label {
    Label { name, valid, standard: false, from }
}

/// Stands for the value that a test gives the label.
pub const GENERATION: &str = "GENERATION";

/// What [`super::valid`] says of labels of `requests_total` at an inbound listener.
pub const LABELS: [Label; 10] = [
    own("generation", [Some(GENERATION); 2], &["/metrics/0/dimensions/generation"]),
    own(
        "operation",
        [Some("get_item"), Some("create_item")],
        &["/attributes/0", "/metrics/0/dimensions/operation"],
    ),
    own("kind", [Some("read"), Some("write")], &["/attributes/1", "/metrics/0/dimensions/kind"]),
    own("api", [Some("getItem"), Some("newItem")], &["/attributes/2", "/metrics/0/dimensions/api"]),
    own("only_total", [Some("t"); 2], &["/metrics/1"]),
    own("only_post", [None, Some("p")], &["/metrics/2"]),
    own("server_tag", [Some("s"); 2], &["/telemetry"]),
    // Of another metric alone.
    own("custom_tag", [None; 2], &[]),
    Label { name: "source_version", valid: [None; 2], standard: true, from: &["/metrics/1"] },
    Label { name: "destination_version", valid: [None; 2], standard: true, from: &["/telemetry"] },
];

/// A metric, how often the valid configuration counts each request by it, and an empty one, and what makes the difference.
pub type Metric = (&'static str, [u64; 2], u64, &'static [&'static str]);

/// The metrics of a request.
pub const METRICS: [Metric; 5] = [
    ("requests_total", [1, 1], 1, &[]),
    ("request_duration_milliseconds", [1, 1], 1, &[]),
    ("request_bytes", [1, 0], 1, &["/metrics/3"]),
    ("response_bytes", [0, 0], 1, &["/metrics/4"]),
    ("custom_total", [1, 1], 0, &["/definitions/0"]),
];

/// What is against the rule in how the requests were counted under a configuration that can be read.
pub fn problems(broken: &Broken, generation: &str, counted: &[Counted; 2]) -> Vec<String> {
    let mut problems = Vec::new();
    if may_disable(broken) {
        return problems;
    }
    for (number, counted) in counted.iter().enumerate() {
        let of_request =
            metrics(broken, number, counted).chain(labels(broken, number, generation, counted));
        problems.extend(of_request.map(|problem| format!("{:?}: {problem}", REQUESTS[number])));
    }
    problems
}

/// Whether the standard metrics may be off: a field that can turn them off has another value of the right type.
pub fn may_disable(broken: &Broken) -> bool {
    let fields = ["/standard_metrics", "/telemetry"];
    broken.wrong == Wrong::Nothing && fields.iter().any(|field| broken.touches(field))
}

fn metrics(broken: &Broken, request: usize, counted: &Counted) -> impl Iterator<Item = String> {
    METRICS.iter().filter_map(move |(name, valid, empty, from)| {
        let (valid, found) = (valid[request], counted.metrics.get(*name).copied().unwrap_or(0));
        let touched = from.iter().any(|place| broken.touches(place));
        let other = broken.wrong == Wrong::Nothing || found == *empty;
        let fine = found == valid || touched && other;
        (!fine).then(|| format!("{name} counted {found} times, not {valid}"))
    })
}

fn labels(
    broken: &Broken,
    request: usize,
    generation: &str,
    counted: &Counted,
) -> impl Iterator<Item = String> {
    // Another limit may fold labels.
    let folded = broken.wrong == Wrong::Nothing && broken.touches("/limits");
    LABELS.iter().filter(move |_| !folded).filter_map(move |label| {
        let found = counted.labels.get(label.name).map(String::as_str);
        let valid = label.valid[request].map(|v| if v == GENERATION { generation } else { v });
        let touched = label.from.iter().any(|place| broken.touches(place));
        let other = broken.wrong == Wrong::Nothing
            || found.is_some() == label.standard
            || found == Some("unknown") && valid.is_some();
        let fine = found == valid || touched && other;
        (!fine).then(|| format!("{} is {found:?}, not {valid:?}", label.name))
    })
}
