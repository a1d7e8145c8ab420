//! Sums of one round of scrapes, row by row.

use std::collections::HashMap;

use super::exposition::{Metric, is_sample, read};

/// Values of the labels that make a row.
pub type Key = Vec<String>;

/// Everything since the proxies started.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// By row.
    pub rows: HashMap<Key, Row>,
    /// Finite bounds of the duration histograms, ascending; the last one is infinite.
    pub bounds: Vec<f64>,
    /// How many samples were read, of whatever metric.
    pub samples: u64,
    /// How many proxies answered.
    pub proxies: usize,
    /// Those that did not, and why.
    pub failed: Vec<String>,
}

/// Sums of one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Requests.
    pub requests: f64,
    /// Those that failed.
    pub errors: f64,
    /// Cumulative, in the order of [`Totals::bounds`].
    pub buckets: Vec<f64>,
}

// === impl Totals ===

impl Totals {
    /// Adds a scrape.
    pub fn add(&mut self, text: &str, by: &[String]) {
        self.proxies += 1;
        let mut key: Key = Vec::new();
        for line in text.lines().filter(|line| is_sample(line)) {
            self.samples += 1;
            let Some(line) = read(line, by) else { continue };
            key.clear();
            key.extend(line.labels.iter().map(|value| value.clone().into_owned()));
            if !self.rows.contains_key(&key) {
                self.rows.insert(key.clone(), Row::default());
            }
            let place = match line.metric {
                Metric::Requests => None,
                Metric::Duration => Some(self.place(line.bound)),
            };
            let bounds = self.bounds.len();
            let Some(row) = self.rows.get_mut(&key) else { continue };
            match place {
                None => {
                    row.requests += line.value;
                    row.errors += if line.is_error() { line.value } else { 0.0 };
                }
                Some(place) => {
                    row.buckets.resize(bounds, 0.0);
                    row.buckets[place] += line.value;
                }
            }
        }
    }

    /// Number of a bound; a new one moves all behind it.
    fn place(&mut self, bound: f64) -> usize {
        match self.bounds.binary_search_by(|known| known.total_cmp(&bound)) {
            Ok(place) => place,
            Err(place) => {
                self.bounds.insert(place, bound);
                for row in self.rows.values_mut() {
                    if row.buckets.len() >= place && !row.buckets.is_empty() {
                        row.buckets.insert(place, 0.0);
                    }
                }
                place
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    const TEXT: &str = r#"
# HELP
istio_requests_total{op="a",response_code="200"} 8
istio_requests_total{op="a",response_code="503"} 2
istio_request_duration_milliseconds_bucket{op="a",response_code="200",le="5"} 4
istio_request_duration_milliseconds_bucket{op="a",response_code="200",le="+Inf"} 8
istio_request_duration_milliseconds_bucket{op="a",response_code="503",le="5"} 1
istio_request_duration_milliseconds_bucket{op="a",response_code="503",le="+Inf"} 2
envoy_other 1
"#;

    #[test]
    fn series_of_a_row_are_summed_over_proxies() {
        let mut totals = Totals::default();
        let by = ["op".to_owned()];
        totals.add(TEXT, &by);
        totals.add(TEXT, &by);
        let row = &totals.rows[&vec!["a".to_owned()]];
        assert_eq!((row.requests, row.errors), (20.0, 4.0));
        assert_eq!(
            (&totals.bounds[..], &row.buckets[..]),
            (&[5.0, f64::INFINITY][..], &[10.0, 20.0][..])
        );
        assert_eq!((totals.samples, totals.proxies), (14, 2));
    }

    #[test]
    fn bounds_of_different_proxies_find_their_places() {
        let mut totals = Totals::default();
        totals.add(TEXT, &[]);
        totals.add("istio_request_duration_milliseconds_bucket{le=\"1\"} 3\n", &[]);
        assert_eq!(totals.bounds, [1.0, 5.0, f64::INFINITY]);
        assert_eq!(totals.rows[&Vec::new()].buckets, [3.0, 5.0, 10.0]);
    }
}
