//! What the sidecars cost, and what the module tells of itself.

use super::{Dashboard, Kind, Panel, Row, Unit, Values, Variable};

/// Series of the picked sidecars; works for every metric they are scraped for.
const PICKED: &str = r#"job=~".*envoy.*", namespace=~"$namespace", pod=~"$pod""#;

pub(super) fn dashboard() -> Dashboard {
    let label =
        |name, title, label, of| Variable { name, title, values: Values::Label { label, of } };
    Dashboard {
        uid: "opmeter-proxies",
        title: "Proxies and the module",
        description: "What the sidecars cost, how many series they make, and what the module tells of itself.",
        variables: vec![
            label("namespace", "Namespace", "namespace", "envoy_server_live"),
            label("pod", "Pod", "pod", r#"envoy_server_live{namespace=~"$namespace"}"#),
        ],
        rows: vec![
            Row { title: "The module", repeat: None, panels: module() },
            Row { title: "Cost", repeat: None, panels: cost() },
            Row { title: "Series", repeat: None, panels: series() },
        ],
    }
}

fn module() -> Vec<Panel> {
    let errors =
        |metric: &str| format!("sum by (pod) (increase({metric}{{{PICKED}}}[$__rate_interval]))");
    vec![
        Panel::new(
            Kind::Stat,
            Unit::Number,
            6,
            "Sidecars scraped",
            "How many answer Prometheus, and how many do not.",
        )
        .ask("up", format!("sum (up{{{PICKED}}})"))
        .ask("down", format!("count (up{{{PICKED}}}) - sum (up{{{PICKED}}})")),
        Panel::new(
            Kind::Stat,
            Unit::Number,
            6,
            "Sidecars with the module",
            "How many tell its metrics, by the Istio version they belong to.",
        )
        .ask("{{tag}}", format!("count by (tag) (istio_build{{component=\"proxy\", {PICKED}}})")),
        Panel::new(
            Kind::Stat,
            Unit::Number,
            6,
            "Label sets beyond the limit",
            "Streams whose labels found no room within limits.max_series, in the last hour.",
        )
        .ask(
            "overflow",
            format!("sum (increase(opmeter_series_overflow_total{{{PICKED}}}[1h])) or vector(0)"),
        ),
        Panel::new(
            Kind::Stat,
            Unit::Number,
            6,
            "Series of the mesh",
            "How many series Prometheus keeps of the picked sidecars.",
        )
        .ask("series", format!("count ({{{PICKED}, __name__!=\"\"}})")),
        Panel::new(
            Kind::Lines,
            Unit::Number,
            12,
            "Problems the module saw",
            "All should stay 0: problems of configurations, expressions that failed, calls the proxy refused, peer \
             metadata that could not be read.",
        )
        .ask("configuration, {{pod}}", errors("opmeter_config_errors_total"))
        .ask("expressions, {{pod}}", errors("opmeter_evaluation_errors_total"))
        .ask("host, {{pod}}", errors("opmeter_host_errors_total"))
        .ask("peers, {{pod}}", errors("opmeter_peer_decode_errors_total")),
        Panel::new(
            Kind::Lines,
            Unit::Number,
            6,
            "Label sets",
            "What a sidecar's module keeps of limits.max_series, 500 unless the configuration says otherwise.",
        )
        .ask("{{pod}}", format!("sum by (pod) (opmeter_series{{{PICKED}}})")),
        Panel::new(
            Kind::Lines,
            Unit::Number,
            6,
            "Wasm virtual machines",
            "One for each worker thread and a few for the main thread; more means that old configurations linger.",
        )
        .ask("{{pod}}", format!("sum by (pod) (envoy_wasm_envoy_wasm_runtime_v8_active{{{PICKED}}})")),
    ]
}

fn cost() -> Vec<Panel> {
    let mean = |reporter: &str| {
        let sum = |part: &str| {
            format!(
                "sum by (source_workload, destination_workload) \
                 (rate(istio_request_duration_milliseconds_{part}{{reporter=\"{reporter}\", request_protocol!=\"grpc\"}}[$__rate_interval]))"
            )
        };
        format!("{} / ({} > 0)", sum("sum"), sum("count"))
    };
    vec![
        Panel::new(
            Kind::Lines,
            Unit::Bytes,
            12,
            "Memory of the proxies",
            "Allocated by Envoy, and resident; the module's virtual machines are in the second only.",
        )
        .ask("allocated, {{pod}}", format!("envoy_server_memory_allocated{{{PICKED}}}"))
        .ask("resident, {{pod}}", format!("envoy_server_memory_physical_size{{{PICKED}}}")),
        Panel::new(
            Kind::Lines,
            Unit::Milliseconds,
            12,
            "What the hop costs",
            "Mean duration at the caller's sidecar less that at the server's: the way between them and the server's proxy.",
        )
        .ask(
            "{{source_workload}} to {{destination_workload}}",
            format!("{} - {}", mean("source"), mean("destination")),
        ),
    ]
}

fn series() -> Vec<Panel> {
    let up = PICKED;
    vec![
        Panel::new(
            Kind::Lines,
            Unit::Number,
            8,
            "Series of a scrape",
            "What a sidecar exposes, and what is kept of it after relabelling.",
        )
        .ask("exposed, {{pod}}", format!("scrape_samples_scraped{{{up}}}"))
        .ask("kept, {{pod}}", format!("scrape_samples_post_metric_relabeling{{{up}}}")),
        Panel::new(
            Kind::Lines,
            Unit::Seconds,
            8,
            "Time of a scrape",
            "How long a sidecar takes to answer Prometheus.",
        )
        .ask("{{pod}}", format!("scrape_duration_seconds{{{up}}}")),
        Panel::new(
            Kind::Table,
            Unit::Number,
            8,
            "Largest metrics",
            "Which metrics have the most series.",
        )
        .ask(
            "series",
            format!("topk(10, count by (__name__) ({{__name__=~\"istio_.+|opmeter_.+\", {PICKED}}}))"),
        ),
        Panel::new(
            Kind::Table,
            Unit::Number,
            12,
            "Series by operation",
            "Which operations have the most series of the request counter.",
        )
        .ask(
            "series",
            format!("topk(20, count by (request_operation) (istio_requests_total{{{PICKED}}}))"),
        ),
        Panel::new(
            Kind::Lines,
            Unit::Number,
            12,
            "New series",
            "Series that a scrape brought for the first time; a lasting rate is a dimension without bound.",
        )
        .ask("{{pod}}", format!("scrape_series_added{{{up}}}")),
    ]
}
