//! The checks, from the outside in.

use std::collections::BTreeSet;

use opmeter_core::metric::standard::HTTP_LABELS;

use super::admin::Snapshot;
use super::dump::Dump;
use super::loading::Fate;
use super::mounts::{Mount, mounts, ours};
use super::names::labels_in_names;
use super::{Diagnosis, counters, in_force, loading};
use crate::finding::{Finding, Rule};
use crate::table::count;

/// All of them.
pub fn all(snapshot: &Snapshot) -> Vec<Diagnosis> {
    let dump = Dump::read(&snapshot.dump);
    let runs = snapshot.metric("opmeter_build") > 0;
    let mounts: Vec<Mount<'_>> = dump.listeners.iter().flat_map(mounts).collect();
    let loading = loading::all(snapshot, &dump);
    let in_force: Vec<Mount<'_>> = mounts
        .into_iter()
        .filter(|mount| loading::fate(snapshot, &dump, mount) != Fate::Missing)
        .collect();
    let ours = ours(&in_force, runs);
    let findings = in_force::findings(snapshot, &dump, &ours);
    let mut all = vec![server(snapshot)];
    // A filter without a module has a diagnosis of its own.
    let broken = ours.is_empty() && !loading.is_empty();
    let refused = !loading.is_empty();
    all.extend(loading);
    if !broken {
        all.push(mounted(&ours, &dump));
    }
    if ours.iter().any(|mount| mount.plugin.is_some()) {
        all.push(machines(snapshot));
    }
    all.extend(findings.iter().map(finding));
    all.extend(native(snapshot, &findings));
    all.extend(in_names(snapshot));
    all.extend(matcher(&dump));
    all.extend(counters::all(snapshot, &findings, refused));
    all.push(traffic(snapshot, ours.len()));
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

fn mounted(ours: &[&Mount<'_>], dump: &Dump) -> Diagnosis {
    let listeners: BTreeSet<&str> = ours.iter().map(|mount| mount.listener).collect();
    let all = dump.listeners.len();
    let discovered = ours.iter().filter(|mount| mount.discovered).map(|mount| mount.name);
    let names: Vec<&str> = discovered.collect::<BTreeSet<_>>().into_iter().collect();
    let as_names =
        if names.is_empty() { String::new() } else { format!(", as {}", names.join(", ")) };
    match listeners.len() {
        0 => Diagnosis::problem(
            format!("the module is not loaded: none of {all} listeners has it"),
            "is there a WasmPlugin or EnvoyFilter for this workload, in its namespace, with its labels?",
        ),
        some => {
            Diagnosis::fine(format!("the module is mounted in {some} of {all} listeners{as_names}"))
        }
    }
}

/// Virtual machines: one per worker, one for the main thread, one as their base.
fn machines(snapshot: &Snapshot) -> Diagnosis {
    match snapshot.machines() {
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
fn native(snapshot: &Snapshot, findings: &[Finding]) -> Option<Diagnosis> {
    let both = ["istiocustom.", "wasmcustom."].map(|prefix| {
        let ours = |(name, _): &&(String, String)| {
            name.starts_with(prefix) && name.contains("istio_requests_total")
        };
        snapshot.stats.iter().find(ours).is_some()
    });
    let told = findings.iter().any(|finding| finding.rule == Rule::NativeAlsoOn);
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
fn matcher(dump: &Dump) -> Option<Diagnosis> {
    let matcher = dump.bootstrap["stats_config"].get("stats_matcher")?;
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
    let requests: Vec<u64> = snapshot
        .stats
        .iter()
        .filter(|(name, _)| name.starts_with("http.") && name.ends_with(".downstream_rq_completed"))
        .filter(|(name, _)| !["http.admin.", "http.stats."].iter().any(|own| name.starts_with(own)))
        .filter_map(|(_, value)| value.parse().ok())
        .collect();
    if requests.is_empty() {
        // Istio's proxies leave Envoy's own statistics of requests out.
        return Diagnosis::note(
            "no metrics of requests yet",
            "they appear with the first request through the module",
        );
    }
    let requests = requests.iter().sum();
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
