//! Alerts: the objective's budget burns, or the metrics themselves cannot be trusted.

use super::slo::{BUDGET, misses};
use super::{Alert, Group, Rule};

/// Burn rates of the multi-window alerts (Google, "The Site Reliability Workbook", chapter 5): severity, how many times
/// faster than allowed, the long and the short window in which that has to be so, and when the budget of 30 days is gone
/// then. The short window ends the alert soon after the burning does.
const BURNS: [(&str, f64, &str, &str, &str); 4] = [
    ("critical", 14.4, "1h", "5m", "two days"),
    ("critical", 6.0, "6h", "30m", "five days"),
    ("warning", 3.0, "1d", "2h", "ten days"),
    ("warning", 1.0, "3d", "6h", "thirty days"),
];

pub(super) fn group() -> Group {
    let mut rules: Vec<Rule> = BURNS.map(burn).into();
    rules.extend([
        grew(
            "OpmeterSeriesOverflow",
            "opmeter_series_overflow_total",
            "Series limit reached on {{ $labels.instance }}",
            "Streams with new label sets are counted under overflow values: a label has more values than limits.max_series \
             leaves room for. Count by each of your own and by destination_service to find it, as in count by \
             (request_operation) (istio_requests_total{instance=\"{{ $labels.instance }}\"}); make it coarser or raise the \
             limit.",
        ),
        grew(
            "OpmeterConfigurationProblems",
            "opmeter_config_errors_total",
            "Configuration of {{ $labels.instance }} has problems",
            "What is wrong stands in the proxy's log, in lines with `configuration`. What is wrong is left \
             out, what is right is in force.",
        ),
        grew(
            "OpmeterEvaluationErrors",
            "opmeter_evaluation_errors_total",
            "Expressions fail on {{ $labels.instance }}",
            "Conditions or dimensions cannot be evaluated for some streams; their labels are `unknown`. Guard optional \
             fields with has().",
        ),
        alert(
            "OpmeterScrapeMissing",
            r#"up{job=~".*envoy.*"} == 0"#,
            "5m",
            "critical",
            "{{ $labels.instance }} is not scraped",
            "Prometheus cannot read /stats/prometheus on port 15090, or the proxy has more series than sample_limit.",
        ),
        alert(
            "OpmeterModuleMissing",
            "up{job=~\".*envoy.*\"} == 1\n\
             unless on (job, instance) opmeter_host_errors_total",
            "10m",
            "warning",
            "{{ $labels.instance }} runs without the module",
            "The proxy is scraped and has no opmeter_* series: the module is not configured, was refused, or has trapped.",
        ),
        alert(
            "OpmeterNothingScraped",
            r#"absent(up{job=~".*envoy.*"})"#,
            "10m",
            "critical",
            "No proxy is scraped at all",
            "Prometheus has no target on port 15090: discovery finds none, or the job has another name.",
        ),
    ]);
    Group { name: "opmeter-alerts", interval: None, rules }
}

fn burn(
    (severity, factor, long, short, gone): (&str, f64, &'static str, &'static str, &str),
) -> Rule {
    let limit = format!("{factor} * {BUDGET}");
    let summary =
        "{{ $labels.request_operation }} of {{ $labels.destination_service }} misses its objective";
    let description = format!(
        "{{{{ $value | humanizePercentage }}}} of the reads in {long} were not answered within 10 ms without a server \
         error. 1% may be; at more than {:.1}% the budget of 30 days is gone in {gone}.",
        factor * BUDGET * 100.0
    );
    Rule::Alert(Alert {
        alert: "OpmeterReadBudgetBurn",
        expr: format!("{} > {limit}\nand\n{} > {limit}", misses(long), misses(short)),
        hold: None,
        labels: [("severity", severity.to_owned()), ("window", long.to_owned())].into(),
        annotations: [("summary", summary.to_owned()), ("description", description)].into(),
    })
}

/// A counter of the module that should not move. It may have moved before it was scraped first, which increase() does
/// not see: a new series above zero counts too.
fn grew(name: &'static str, counter: &str, summary: &str, description: &str) -> Rule {
    let expr = format!(
        "increase({counter}[10m]) > 0\nor\n(({counter} > 0) unless ({counter} offset 10m))"
    );
    let mut rule = alert(name, &expr, "", "warning", summary, description);
    if let Rule::Alert(alert) = &mut rule {
        alert.hold = None;
    }
    rule
}

fn alert(
    name: &'static str,
    expr: &str,
    hold: &'static str,
    severity: &str,
    summary: &str,
    description: &str,
) -> Rule {
    Rule::Alert(Alert {
        alert: name,
        expr: expr.to_owned(),
        hold: Some(hold),
        labels: [("severity", severity.to_owned())].into(),
        annotations: [("summary", summary.to_owned()), ("description", description.to_owned())]
            .into(),
    })
}
