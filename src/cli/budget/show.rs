//! The estimate for people and programs.

use anyhow::Result;
use serde_json::json;

use super::estimate::{Estimate, GUESS};
use crate::finding::Format;
use crate::table;

/// Prints all estimates.
pub fn print(estimates: &[(String, Estimate)], format: Format) -> Result<()> {
    if format == Format::Json {
        let all: Vec<_> = estimates
            .iter()
            .map(|(place, estimate)| json!({"place": place, "estimate": estimate}))
            .collect();
        anstream::println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    for (place, estimate) in estimates {
        anstream::println!("{place}\n{}\n", text(estimate));
    }
    Ok(())
}

fn text(estimate: &Estimate) -> String {
    let mut metrics = table::new(&["metric", "kind", "label sets", "series"]);
    for metric in &estimate.metrics {
        metrics.add_row([
            metric.name.clone(),
            metric.kind.to_owned(),
            table::count(metric.label_sets),
            table::count(metric.series),
        ]);
    }
    table::align_right(&mut metrics, 2);
    let prometheus = &estimate.prometheus;
    let mut text = metrics.trim_fmt();
    text += &format!(
        "\n\nOne proxy, at most: {} series, {} of Envoy's memory (one worker), {} per scrape",
        table::count(estimate.series),
        table::bytes(estimate.proxy_bytes),
        table::bytes(estimate.scrape_bytes),
    );
    text += &format!(
        "\nPrometheus, {}: {} series, {} samples/s, {} of memory, {} of disk per day",
        match prometheus.proxies {
            1 => "1 proxy".to_owned(),
            proxies => format!("{} proxies", table::count(proxies)),
        },
        table::count(prometheus.series),
        table::count(prometheus.samples_per_second),
        table::bytes(prometheus.memory_bytes),
        table::bytes(prometheus.disk_bytes_per_day),
    );
    if estimate.label_sets > estimate.max_series {
        text += &format!(
            "\nlimits.max_series is {} and {} label sets are possible: later ones are folded, every total stays exact",
            table::count(estimate.max_series),
            table::count(estimate.label_sets),
        );
    }
    for label in &estimate.guessed {
        text += &format!(
            "\nNothing bounds the label {label}: {GUESS} values are a guess, --values {label}=N says better"
        );
    }
    text
}
