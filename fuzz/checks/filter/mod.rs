//! The filter's callbacks in any order, on a proxy that may fail or lie at every call.

mod proxy;
mod stats;

use arbitrary::Unstructured;
use opmeter_core::config::{self, Config, Override, Target, When};
use opmeter_core::metric::Label;
use opmeter_core::metric::standard::HTTP_LABELS;
use opmeter_core::{Recorder, Stream, plan};
pub(crate) use proxy::Proxy;
use proxy::{Expression, Traffic};
pub(crate) use stats::Stats;
use std::cell::RefCell;
use std::rc::Rc;

/// Callbacks for a few streams, read from the input, with the proxy's answers in between.
///
/// Whatever happens, no metric misses a stream and none counts one twice: every metric of requests, of connections and of
/// both gets one value per stream that ended, or one call that the proxy refused; what grows is reported once, between
/// what the proxy told last and the most it ever told.
///
/// Most inputs meet a worker that has served others, as in a proxy: to set one up takes ten times longer than to use it.
/// One that fails only then does so again when the whole corpus is run.
pub fn filter(data: &[u8]) {
    thread_local! {
        static WORKERS: RefCell<Vec<Worker>> = const { RefCell::new(Vec::new()) };
    }
    let Some((choice, rest)) = data.split_first() else { return };
    WORKERS.with_borrow_mut(|workers| {
        if workers.is_empty() {
            workers.extend(configs_known().into_iter().map(Worker::new));
        }
        // What takes long is chosen by numbers that are not the most likely ones.
        let number = match choice & 31 {
            19 => 0,
            choice => 1 + usize::from(choice) % (workers.len() - 1),
        };
        let worker = &mut workers[number];
        if choice >> 3 == 21 || worker.stats.series() > MOST_SERIES {
            worker.restart();
        }
        worker.play(Unstructured::new(rest));
    });
}

const CONFIGS_TEXT: [&str; 5] = [
    r#"{"definitions": [{"name": "seen", "value": "1"}]}"#,
    r#"{
        "metadata_exchange": {"additional_labels": ["role"], "max_peers": 2},
        "limits": {"max_series": 8, "max_values_per_dimension": 2, "max_label_bytes": 32},
        "attributes": [
            {"output_attribute": "early", "phase": "ON_REQUEST", "operations": [{"path": "/items/{id}"}]},
            {"output_attribute": "late", "match": [{"value": "x", "condition": "request.host == 'a'"}]}
        ],
        "definitions": [{"name": "seen", "value": "1"}, {"name": "told", "value": "request.size", "type": "HISTOGRAM"}],
        "metrics": [
            {"dimensions": {"op": "early", "late": "late", "role": "filter_state.upstream_peer.labels['role']",
                "native": "string(connection.id) + request.headers['x']", "host": "request.headers.exists(x, x == 'y') ? 'a' : 'b'"}},
            {"name": "requests_total", "match": "request.method == 'GET'", "tags_to_remove": ["source_app"]}
        ]
    }"#,
    r#"{
        "metadata_exchange": {"max_peers": 0, "skip_external": true},
        "definitions": [{"name": "seen", "value": "1"}, {"name": "last", "value": "connection.id", "type": "GAUGE"}],
        "metrics": [
            {"dimensions": {"zone": "filter_state.downstream_peer.availability_zone + '!'"}},
            {"name": "tcp_sent_bytes_total", "dimensions": {"response_flags": "'-'"}}
        ]
    }"#,
    r#"{
        "metadata_exchange": {}, "reporter": "SERVER_GATEWAY", "disable_host_header_fallback": true,
        "limits": {"max_series": 1},
        "definitions": [{"name": "seen", "value": "1"}]
    }"#,
    r#"{
        "definitions": [{"name": "seen", "value": "1"}],
        "telemetry": {"metrics": [{"overrides": [
            {"match": {"metric": "REQUEST_SIZE", "mode": "CLIENT"}, "tagOverrides": {"verb": {"value": "request.method"}}},
            {"match": {"mode": "SERVER"}, "tagOverrides": {"verb": {"value": "request.method"}}}
        ]}]}
    }"#,
];

/// Labels that are left.
const KEPT: [Label; 4] =
    [Label::Reporter, Label::DestinationWorkload, Label::ResponseCode, Label::ResponseFlags];

/// The first configuration as it is, then all of them with few labels: names of 25 take longer than everything else.
fn configs_known() -> Vec<Config> {
    let removed = HTTP_LABELS.iter().filter(|label| !KEPT.contains(label));
    let removed: Vec<String> = removed.map(|label| label.name().to_owned()).collect();
    let few = |text: &&str| {
        let mut config = config_of(text);
        let change = Override {
            path: String::new(),
            target: Target::All,
            dimensions: Vec::new(),
            tags_to_remove: removed.clone(),
            drop: false,
            when: When::Always,
        };
        config.metrics.insert(0, change);
        config
    };
    [config_of(CONFIGS_TEXT[0])].into_iter().chain(CONFIGS_TEXT.iter().map(few)).collect()
}

fn config_of(text: &str) -> Config {
    config::parse(text.as_bytes()).expect("a configuration").0
}

const MOST_CALLS: usize = 16;
const MOST_SERIES: usize = 500;
const MOST_STREAMS: usize = 4;

/// One worker of the proxy, by one configuration.
struct Worker {
    config: Config,
    recorder: Recorder,
    expressions: Vec<Rc<Expression>>,
    stats: Stats,
}

/// One stream on the proxy's side.
struct Open {
    /// `None` for one that only an access log tells of.
    stream: Option<Stream>,
    counted: Counted,
}

/// As what a stream is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Request,
    Connection,
    Not,
}

// === impl Worker ===

impl Worker {
    fn new(config: Config) -> Self {
        let mut proxy = Proxy::new(Unstructured::new(&[]), Vec::new());
        let mut stats = Stats::default();
        let plan = plan::compile(&config, &mut proxy, &mut Vec::new());
        let recorder = Recorder::new(plan, &mut proxy, &mut stats);
        Self { config, recorder, expressions: proxy.into_expressions(), stats }
    }

    fn restart(&mut self) {
        *self = Self::new(std::mem::replace(&mut self.config, config_of("{}")));
    }

    fn play(&mut self, input: Unstructured<'_>) {
        let mut proxy = Proxy::new(input, std::mem::take(&mut self.expressions));
        self.stats.begin();
        self.stats.contended = proxy.is_contended();
        let open = play(&mut self.recorder, &mut proxy, &mut self.stats);
        check(&open, &proxy, &self.stats);
        self.expressions = proxy.into_expressions();
    }
}

fn play(recorder: &mut Recorder, proxy: &mut Proxy<'_>, stats: &mut Stats) -> Vec<Open> {
    let mut open: Vec<Open> = Vec::new();
    for _ in 0..MOST_CALLS {
        let Some(operation) = proxy.next_operation() else { break };
        let at = usize::from(operation >> 4) % open.len().max(1);
        let room = open.len() < MOST_STREAMS;
        match operation & 15 {
            kind @ (0 | 1) if room => {
                proxy.begin(kind == 1);
                open.push(match kind {
                    0 => Open { stream: Some(Stream::default()), counted: Counted::Request },
                    _ => Open { stream: Some(Stream::connection()), counted: Counted::Connection },
                });
            }
            kind @ (2 | 3) if room => {
                proxy.begin(kind == 3);
                proxy.turn_to(open.len());
                let counted = entry(kind == 3, recorder, proxy, stats);
                open.push(Open { stream: None, counted });
            }
            other => {
                let Some(Open { stream: Some(stream), .. }) = open.get_mut(at) else { continue };
                proxy.turn_to(at);
                stats.failures = proxy.failures();
                match other {
                    4 | 5 => recorder.on_request(stream, proxy, stats),
                    6 | 7 => recorder.on_response(stream, proxy, stats),
                    8..=10 => proxy.timer(|proxy| recorder.on_tick(stream, proxy, stats)),
                    11 | 12 => proxy.traffic(),
                    13 => recorder.forget(),
                    _ => proxy.log(|proxy| recorder.on_log(stream, proxy, stats)),
                }
            }
        }
    }
    // The proxy logs what is still open; more calls for what is over change nothing.
    for (at, Open { stream, .. }) in open.iter_mut().enumerate() {
        let Some(stream) = stream else { continue };
        proxy.turn_to(at);
        stats.failures = proxy.failures();
        proxy.log(|proxy| recorder.on_log(stream, proxy, stats));
        stats.failures = 0;
        let calls = stats.calls;
        proxy.timer(|proxy| recorder.on_tick(stream, proxy, stats));
        recorder.on_log(stream, proxy, stats);
        assert_eq!(stats.calls, calls, "a stream that is over was recorded again");
    }
    open
}

/// An entry of an access log: counted once as what it is, unless the proxy does not tell rightly what that is.
fn entry(
    connection: bool,
    recorder: &mut Recorder,
    proxy: &mut Proxy<'_>,
    stats: &mut Stats,
) -> Counted {
    const METRICS: [&str; 3] =
        ["istio_seen", "istio_requests_total", "istio_tcp_connections_closed_total"];
    let before = METRICS.map(|metric| stats.of(metric).attempts());
    stats.failures = proxy.failures();
    proxy.traffic();
    proxy.log(|proxy| recorder.on_entry(opmeter_core::Share::All, proxy, stats));
    let after = METRICS.map(|metric| stats.of(metric).attempts());
    let counted = match [0, 1, 2].map(|at| after[at] - before[at]) {
        [0, 0, 0] => Counted::Not,
        [1, 1, 0] => Counted::Request,
        [1, 0, 1] => Counted::Connection,
        attempts => panic!("{METRICS:?} {attempts:?}"),
    };
    let right = if connection { Counted::Connection } else { Counted::Request };
    assert!(counted == right || !proxy.is_honest(), "{right:?} counted as {counted:?}");
    match counted {
        _ if counted == right => {}
        Counted::Not => proxy.forget(),
        _ => proxy.garbled(),
    }
    counted
}

fn check(open: &[Open], proxy: &Proxy<'_>, stats: &Stats) {
    let count = |as_what| open.iter().filter(|stream| stream.counted == as_what).count() as u64;
    let (requests, connections) = (count(Counted::Request), count(Counted::Connection));
    for (metric, streams) in [
        ("istio_seen", requests + connections),
        ("istio_requests_total", requests),
        ("istio_request_bytes", requests),
        ("istio_response_bytes", requests),
        ("istio_tcp_connections_opened_total", connections),
        ("istio_tcp_connections_closed_total", connections),
    ] {
        let of = stats.of(metric);
        assert_eq!(of.attempts(), streams, "{metric}: {of:?}");
        if metric.ends_with("_total") || metric == "istio_seen" {
            assert_eq!(
                of.sum + of.refused_sum + u128::from(of.undefined),
                u128::from(streams),
                "{metric}: {of:?}"
            );
        }
    }
    let duration = stats.of("istio_request_duration_milliseconds");
    assert!(duration.attempts() <= requests);
    for (metric, bounds) in [
        ("istio_tcp_received_bytes_total", proxy.bounds(|told: &Traffic| told.received)),
        ("istio_tcp_sent_bytes_total", proxy.bounds(|told: &Traffic| told.sent)),
        ("istio_request_messages_total", proxy.bounds(|told: &Traffic| told.requests)),
        ("istio_response_messages_total", proxy.bounds(|told: &Traffic| told.responses)),
    ] {
        let of = stats.of(metric);
        let Some((least, most)) = bounds else { continue };
        let reported = of.sum + of.refused_sum;
        assert!(
            reported <= most,
            "{metric}: {reported} reported, {most} is the most that was told"
        );
        let all = of.undefined == 0;
        assert!(
            !all || reported >= least,
            "{metric}: {reported} reported, {least} told at the end"
        );
    }
}
