//! The module's counters about itself.

use super::Diagnosis;
use super::admin::Snapshot;
use crate::finding::{Finding, Rule};
use crate::table::count;

/// Counters that may only rise when something is wrong, what that is, and what helps.
const WRONG: [(&str, &str, &str); 3] = [
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
];

/// Those that have risen, with what that means. `refused` tells whether a refusal has been told already.
pub fn all(snapshot: &Snapshot, findings: &[Finding], refused: bool) -> Vec<Diagnosis> {
    let mut all = configurations(snapshot, findings, refused);
    let risen = |name: &str| Some(snapshot.metric(name)).filter(|number| *number > 0);
    for (name, meaning, remedy) in WRONG {
        if let Some(number) = risen(name) {
            let seen = format!("{name} is {}: {meaning}", count(number));
            all.push(Diagnosis::problem(seen, remedy));
        }
    }
    if let Some(number) = risen("opmeter_duplicate_streams_total") {
        let told = findings.iter().any(|finding| finding.rule == Rule::TwoPlugins);
        let seen = format!(
            "opmeter_duplicate_streams_total is {}: streams met the module twice, and the first in the chain counted \
             their standard metrics",
            count(number)
        );
        let remedy = match told {
            true => "see above",
            false => "two plugins, or a filter and an access logger, on one proxy: one is enough",
        };
        all.push(Diagnosis::problem(seen, remedy));
    }
    all
}

/// What became of configurations since the proxy started. What is wrong with the one in force is among the findings.
fn configurations(snapshot: &Snapshot, findings: &[Finding], refused: bool) -> Vec<Diagnosis> {
    let found = |rule| findings.iter().any(|finding| finding.rule == rule);
    let rejected = snapshot.metric("opmeter_config_rejected_total");
    let unreadable = snapshot.metric("opmeter_config_unreadable_total");
    let mut all = Vec::new();
    for (name, number, now, what) in [
        ("rejected", rejected, refused, "`strict` refused"),
        ("unreadable", unreadable, found(Rule::Unreadable), "the module could not read"),
    ] {
        if number > 0 && !now {
            let number = count(number);
            let name = format!("opmeter_config_{name}_total");
            let seen = format!("{name} is {number}: {what} a configuration before this one");
            all.push(Diagnosis::note(seen, ""));
        }
    }
    let errors = snapshot.metric("opmeter_config_errors_total");
    let left_out = found(Rule::LeftOut);
    // Where all that is in force is right, the problems are those of what is not in force.
    let explained = rejected + unreadable > 0 && !left_out;
    if errors > 0 && !explained {
        let name = "opmeter_config_errors_total";
        let seen = format!("{name} is {}: parts of configurations were left out", count(errors));
        all.push(Diagnosis::problem(
            seen,
            match left_out {
                true => "they are told above; all else is in force",
                false => "in this or an earlier one: the proxy's log names each, in lines with \"configuration\"",
            },
        ));
    }
    all
}
