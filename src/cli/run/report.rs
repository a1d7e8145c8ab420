//! What a person reads after the traffic.

use std::collections::BTreeMap;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use super::quantile::{Buckets, merge, quantile};
use super::scrape::{Sample, Scrape};

/// The counter the whole report hangs on.
pub const REQUESTS: &str = "istio_requests_total";
const DURATION_BUCKETS: &str = "istio_request_duration_milliseconds_bucket";
/// How many requests have a duration.
pub const DURATION_COUNT: &str = "istio_request_duration_milliseconds_count";

/// One line below the header, none between rows.
const STYLE: TableStyle = NOTHING.header_separator(LineStyle::none().fill('─').junction('─'));
const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// One row: what one reporter saw of one operation.
#[derive(Clone, Debug, Default)]
struct Row {
    requests: f64,
    errors: f64,
    durations: Buckets,
}

/// Rows by operation, then reporter with the client's side (`source`) first.
type Rows = BTreeMap<(String, std::cmp::Reverse<String>), Row>;

/// The table and, below it, the raw request counters of each proxy.
pub fn render(proxies: &[(&str, &Scrape)]) -> String {
    let mut text = table(proxies);
    for (name, scrape) in proxies {
        text += &format!("\n\n{REQUESTS} of the {name}:\n");
        text += &scrape
            .named(REQUESTS)
            .map(|sample| sample.line.as_str())
            .collect::<Vec<_>>()
            .join("\n");
    }
    text
}

fn table(proxies: &[(&str, &Scrape)]) -> String {
    let mut rows = Rows::new();
    for (_, scrape) in proxies {
        collect(&mut rows, scrape);
    }
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(["operation", "reporter", "requests", "errors", "p50 ms", "p90 ms", "p99 ms"]);
    for ((operation, reporter), row) in &rows {
        let mut cells = vec![
            operation.clone(),
            reporter.0.clone(),
            row.requests.to_string(),
            row.errors.to_string(),
        ];
        cells.extend(QUANTILES.map(|q| milliseconds(quantile(q, &row.durations))));
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn collect(rows: &mut Rows, scrape: &Scrape) {
    for sample in scrape.named(REQUESTS) {
        let row = rows.entry(key(sample)).or_default();
        row.requests += sample.value;
        if is_error(sample.label("response_code")) {
            row.errors += sample.value;
        }
    }
    for sample in scrape.named(DURATION_BUCKETS) {
        if let Ok(bound) = sample.label("le").parse() {
            merge(&mut rows.entry(key(sample)).or_default().durations, &[(bound, sample.value)]);
        }
    }
}

fn key(sample: &Sample) -> (String, std::cmp::Reverse<String>) {
    let operation = match sample.label("request_operation") {
        "" => "(no operation)",
        operation => operation,
    };
    (operation.to_owned(), std::cmp::Reverse(sample.label("reporter").to_owned()))
}

/// 4xx, 5xx, and 0 for a request that never got an answer.
fn is_error(code: &str) -> bool {
    !matches!(code.as_bytes().first(), Some(b'1'..=b'3'))
}

fn milliseconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

#[cfg(test)]
mod tests {
    use super::{Scrape, is_error, render};

    const CLIENT: &str = r#"
istio_requests_total{reporter="source",request_operation="get_items",response_code="200"} 8
istio_requests_total{reporter="source",request_operation="get_items",response_code="503"} 1
istio_requests_total{reporter="source",request_operation="get_items",response_code="0"} 1
istio_request_duration_milliseconds_bucket{reporter="source",request_operation="get_items",response_code="200",le="5"} 4
istio_request_duration_milliseconds_bucket{reporter="source",request_operation="get_items",response_code="200",le="10"} 8
istio_request_duration_milliseconds_bucket{reporter="source",request_operation="get_items",response_code="200",le="+Inf"} 8
istio_request_duration_milliseconds_bucket{reporter="source",request_operation="get_items",response_code="503",le="5"} 1
istio_request_duration_milliseconds_bucket{reporter="source",request_operation="get_items",response_code="503",le="10"} 2
istio_request_duration_milliseconds_bucket{reporter="source",request_operation="get_items",response_code="503",le="+Inf"} 2
"#;
    const SERVER: &str = r#"istio_requests_total{reporter="destination",request_operation="get_items",response_code="200"} 9"#;

    #[test]
    fn the_report_is_a_table_and_the_raw_counters() {
        let (client, server) = (Scrape::parse(CLIENT), Scrape::parse(SERVER));
        // Ten durations, five up to 5 ms and five up to 10 ms: p50 5, p90 9, p99 9.9.
        let expected = r#"
 operation   reporter      requests   errors   p50 ms   p90 ms   p99 ms
────────────────────────────────────────────────────────────────────────
 get_items   source              10        2      5.0      9.0      9.9
 get_items   destination          9        0        -        -        -

istio_requests_total of the client sidecar:
istio_requests_total{reporter="source",request_operation="get_items",response_code="200"} 8
istio_requests_total{reporter="source",request_operation="get_items",response_code="503"} 1
istio_requests_total{reporter="source",request_operation="get_items",response_code="0"} 1

istio_requests_total of the server sidecar:
istio_requests_total{reporter="destination",request_operation="get_items",response_code="200"} 9"#;
        let text = render(&[("client sidecar", &client), ("server sidecar", &server)]);
        assert_eq!(text, expected.trim_start_matches('\n'));
    }

    #[test]
    fn errors_are_4xx_5xx_and_no_answer() {
        for code in ["400", "404", "503", "0", ""] {
            assert!(is_error(code), "{code} is an error");
        }
        for code in ["101", "200", "204", "302"] {
            assert!(!is_error(code), "{code} is no error");
        }
    }
}
