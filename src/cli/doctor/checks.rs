//! The checks, from the outside in.

use opmeter_core::metric::standard::HTTP_LABELS;

use super::Diagnosis;
use super::admin::Snapshot;
use super::configuration::Configured;
use super::names::labels_in_names;
use crate::finding::Finding;
use crate::table::count;

/// All of them.
pub fn all(snapshot: &Snapshot) -> Vec<Diagnosis> {
    let configured = Configured::read(&snapshot.dump);
    let mut all = vec![server(snapshot)];
    all.extend(refusals(snapshot, &configured));
    let mounts = configured.mounts();
    all.push(mounted(mounts, &configured));
    if mounts > 0 {
        all.push(machines(snapshot));
    }
    all.extend(configured.findings().iter().map(finding));
    all.extend(native(snapshot, &configured));
    all.extend(in_names(snapshot));
    all.extend(matcher(&configured));
    all.extend(own_counters(snapshot));
    all.push(traffic(snapshot, mounts));
    all
}

fn server(snapshot: &Snapshot) -> Diagnosis {
    let version = snapshot.info["version"].as_str().unwrap_or_default();
    let version = version.split('/').nth(1).unwrap_or(version);
    let state = snapshot.info["state"].as_str().unwrap_or("in an unknown state");
    match state {
        "LIVE" => Diagnosis::fine(format!("Envoy {version} is live")),
        _ => Diagnosis::problem(
            format!("Envoy {version} is {state}"),
            "it serves no traffic yet: a listener may be waiting for its configuration or for the module",
        ),
    }
}

/// Updates that Envoy did not take: it goes on with what it had.
fn refusals(snapshot: &Snapshot, configured: &Configured) -> Vec<Diagnosis> {
    let remedy = "`opmeter lint` on the configuration tells what the module does not take";
    let mut all: Vec<Diagnosis> = configured
        .refused
        .iter()
        .map(|details| Diagnosis::problem(format!("an update was refused: {details}"), remedy))
        .collect();
    let rejected = snapshot.sum(".update_rejected") + snapshot.sum(".config_fail");
    if all.is_empty() && rejected > 0 {
        all.push(Diagnosis::problem(format!("{} updates were refused", count(rejected)), remedy));
    }
    let failed = snapshot.sum("wasm.remote_load_fetch_failures");
    if failed > 0 {
        let seen = format!("the module could not be fetched {} times", count(failed));
        all.push(Diagnosis::problem(seen, "check its URL, checksum and the way there"));
    }
    all
}

fn mounted(mounts: usize, configured: &Configured) -> Diagnosis {
    match (mounts, configured.listeners.len()) {
        (0, listeners) => Diagnosis::problem(
            format!("the module is not loaded: none of {listeners} listeners has it"),
            "is there a WasmPlugin or EnvoyFilter for this workload, in its namespace, with its labels?",
        ),
        (1, _) => Diagnosis::fine("the module is mounted once"),
        (mounts, _) => Diagnosis::fine(format!("the module is mounted {mounts} times")),
    }
}

/// Virtual machines: one per worker, one for the main thread, one as their base.
fn machines(snapshot: &Snapshot) -> Diagnosis {
    match snapshot.stat("wasm.envoy.wasm.runtime.v8.active").unwrap_or_default() {
        0 => Diagnosis::problem(
            "the module is not running",
            "it has crashed or was never started: see the proxy's log for lines with \"wasm\"",
        ),
        active => Diagnosis::fine(format!("{active} virtual machines run it")),
    }
}

fn finding(finding: &Finding) -> Diagnosis {
    let at = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
    Diagnosis::problem(format!("{at}{}", finding.message), &finding.fix)
}

/// Istio's own stats write below `istiocustom`.
fn native(snapshot: &Snapshot, configured: &Configured) -> Option<Diagnosis> {
    let both = ["istiocustom.", "wasmcustom."].map(|prefix| {
        let ours = |(name, _): &&(String, String)| {
            name.starts_with(prefix) && name.contains("istio_requests_total")
        };
        snapshot.stats.iter().find(ours).is_some()
    });
    let told = configured.findings().iter().any(|f| f.rule == crate::finding::Rule::NativeAlsoOn);
    (both == [true, true] && !told).then(|| {
        Diagnosis::problem(
            "Istio's native stats and the module both emit istio_requests_total",
            "disable ALL_METRICS in a Telemetry for this workload",
        )
    })
}

fn in_names(snapshot: &Snapshot) -> Option<Diagnosis> {
    let known: Vec<&str> =
        HTTP_LABELS.iter().map(|label| label.name()).chain(["request_operation"]).collect();
    let found = labels_in_names(&snapshot.prometheus, &known);
    (!found.is_empty()).then(|| {
        Diagnosis::problem(
            format!("labels stand in the names of metrics: {}", found.join(", ")),
            "stats tags are read when the proxy starts: add them (`opmeter render --only tags`), then start it again",
        )
    })
}

/// A list of what to keep can keep the module's out.
fn matcher(configured: &Configured) -> Option<Diagnosis> {
    let matcher = configured.bootstrap["stats_config"].get("stats_matcher")?;
    let text = matcher.to_string();
    let named = ["wasm", "istio", "reporter="].iter().any(|part| text.contains(part));
    let blocks = matcher["reject_all"] == true || matcher.get("inclusion_list").is_some() && !named;
    blocks.then(|| {
        Diagnosis::problem(
            "the proxy's stats matcher keeps the module's metrics out",
            "add the prefix wasmcustom: annotation sidecar.istio.io/statsInclusionPrefixes, or stats_config.stats_matcher",
        )
    })
}

/// The module's counters about itself.
fn own_counters(snapshot: &Snapshot) -> Vec<Diagnosis> {
    let of = |name: &str| {
        let lines = snapshot.prometheus.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    let mut all = Vec::new();
    for (name, meaning, remedy) in [
        (
            "opmeter_config_errors_total",
            "problems in configurations",
            "the proxy's log names each; so does `opmeter lint`",
        ),
        (
            "opmeter_evaluation_errors_total",
            "expressions that had no value: their labels are `unknown`",
            "guard attributes that may be absent: has(a.b) ? a.b : ''",
        ),
        ("opmeter_host_errors_total", "calls that the proxy refused", "see the proxy's log"),
        (
            "opmeter_peer_decode_errors_total",
            "peers whose metadata could not be read",
            "who sends x-envoy-peer-metadata that is none?",
        ),
    ] {
        let errors = of(name);
        if errors > 0 {
            all.push(Diagnosis::problem(format!("{name} is {}: {meaning}", count(errors)), remedy));
        }
    }
    all
}

fn traffic(snapshot: &Snapshot, mounts: usize) -> Diagnosis {
    let lines = snapshot.prometheus.lines();
    let series = lines.filter(|line| line.starts_with("istio_requests_total{")).count();
    let tcp = snapshot.prometheus.lines().filter(|line| line.starts_with("istio_tcp_")).count();
    if series + tcp > 0 {
        let all = snapshot.prometheus.lines().filter(|line| line.starts_with("istio_")).count();
        return Diagnosis::fine(format!(
            "{} series of istio_requests_total, {} of Istio's metrics in all",
            count(series as u64),
            count(all as u64)
        ));
    }
    let requests: u64 = snapshot
        .stats
        .iter()
        .filter(|(name, _)| name.starts_with("http.") && name.ends_with(".downstream_rq_completed"))
        .filter(|(name, _)| !["http.admin.", "http.stats."].iter().any(|own| name.starts_with(own)))
        .filter_map(|(_, value)| value.parse::<u64>().ok())
        .sum();
    match (requests, mounts) {
        (0, _) => Diagnosis::note("no request has passed yet", "metrics appear with the first one"),
        (_, 0) => Diagnosis::note(
            format!("{} passed, none through the module", requests_of(requests)),
            "",
        ),
        _ => Diagnosis::problem(
            format!("{} passed, and there is no istio_requests_total", requests_of(requests)),
            "did they pass a listener with the module, and does its configuration emit the standard metrics?",
        ),
    }
}

fn requests_of(number: u64) -> String {
    match number {
        1 => "1 request has".to_owned(),
        number => format!("{} requests have", count(number)),
    }
}
