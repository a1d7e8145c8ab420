//! What a proxy counted between two scrapes.

use crate::series::{Series, parse_scrape};
use anyhow::Result;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A scrape.
#[derive(Debug, Default)]
pub(super) struct Page {
    series: Vec<Series>,
    gauges: HashSet<String>,
}

/// Name and labels.
type Key = (String, BTreeMap<String, String>);

// === impl Page ===

impl Page {
    /// Reads Prometheus' text format.
    ///
    /// # Errors
    /// The first line that is not in the format.
    pub fn parse(text: &str) -> Result<Self> {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let gauges = types.filter_map(|line| line.strip_suffix(" gauge")).map(str::to_owned);
        Ok(Self { series: parse_scrape(text)?, gauges: gauges.collect() })
    }

    /// The value of a metric's only series; 0 when there is none.
    pub fn value(&self, metric: &str) -> f64 {
        self.series.iter().find(|series| series.name == metric).map_or(0.0, |series| series.value)
    }

    /// Histograms by the name and the labels of their counts.
    fn counts(&self) -> HashMap<Key, f64> {
        let counts = self.series.iter().filter(|series| series.name.ends_with("_count"));
        counts.map(|series| (key(series), series.value)).collect()
    }

    /// What was counted since an earlier scrape, as if the proxy had started then: a series that stayed as it was is left out.
    /// Gauges are as they are, and so is what was counted of the configuration.
    pub fn since(self, earlier: &Self) -> Vec<Series> {
        let before: HashMap<_, _> = earlier.series.iter().map(|s| (key(s), s.value)).collect();
        let (counts, counts_before) = (self.counts(), earlier.counts());
        let mut series = self.series;
        series.retain_mut(|series| {
            if self.gauges.contains(&series.name) || series.name.starts_with("opmeter_config_") {
                return true;
            }
            // A sum may stay while the count does not, and the other way round.
            if let Some(count) = count_of(series)
                && let Some(found) = counts.get(&count)
            {
                series.value -= before.get(&key(series)).copied().unwrap_or_default();
                return counts_before.get(&count) != Some(found);
            }
            let before = before.get(&key(series)).copied().unwrap_or_default();
            series.value -= before;
            // The module's own metrics are there from the start.
            series.value != 0.0 || before == 0.0 || series.name.starts_with("opmeter_")
        });
        series
    }
}

fn key(series: &Series) -> Key {
    (series.name.clone(), series.labels.clone())
}

/// The count of the histogram that a series belongs to, if it does.
fn count_of(series: &Series) -> Option<Key> {
    let parts = ["_bucket", "_sum", "_count"];
    let histogram = parts.iter().find_map(|part| series.name.strip_suffix(part))?;
    let mut labels = series.labels.clone();
    labels.remove("le");
    Some((format!("{histogram}_count"), labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_left_out_as_a_whole() {
        let text = |a, b, c| {
            format!(
                "h_bucket{{x=\"1\",le=\"5\"}} 0\nh_sum{{x=\"1\"}} 0\nh_count{{x=\"1\"}} {a}\n\
                 h_bucket{{x=\"2\",le=\"5\"}} 0\nh_sum{{x=\"2\"}} {c}\nh_count{{x=\"2\"}} {b}\n"
            )
        };
        let before = Page::parse(&text(1, 2, 3)).unwrap();
        let since = Page::parse(&text(1, 4, 3)).unwrap().since(&before);
        let since: Vec<String> = since.iter().map(ToString::to_string).collect();
        let expected = ["h_bucket{le=\"5\",x=\"2\"} 0", "h_sum{x=\"2\"} 0", "h_count{x=\"2\"} 2"];
        assert_eq!(since, expected);
    }

    #[test]
    fn what_stayed_is_left_out_and_the_rest_is_a_difference() {
        let before = Page::parse(
            "# TYPE g gauge\ng 1\na{x=\"1\"} 2\na{x=\"2\"} 3\nopmeter_series_total 4\nopmeter_config_errors_total 1\nzero 0\n",
        );
        let after = Page::parse(
            "# TYPE g gauge\ng 1\na{x=\"1\"} 2\na{x=\"2\"} 5\na{x=\"3\"} 1\nopmeter_series_total 4\nopmeter_config_errors_total 1\nzero 0\n",
        );
        let since = after.unwrap().since(&before.unwrap());
        let since: Vec<String> = since.iter().map(ToString::to_string).collect();
        let expected = [
            "g{} 1",
            "a{x=\"2\"} 2",
            "a{x=\"3\"} 1",
            "opmeter_series_total{} 0",
            "opmeter_config_errors_total{} 1",
            "zero{} 0",
        ];
        assert_eq!(since, expected);
    }
}
