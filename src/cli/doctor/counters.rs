//! The module's counters about itself.

use super::Diagnosis;
use super::admin::Snapshot;
use crate::finding::{Finding, Rule};
use crate::table::count;

/// Those that have risen, with what that means.
///
/// `refused` tells whether a refusal has been told already.
pub fn all(snapshot: &Snapshot, findings: &[Finding], refused: bool) -> Vec<Diagnosis> {
    let found = |rules: &[Rule]| findings.iter().any(|finding| rules.contains(&finding.rule));
    let wrong = found(&[Rule::Refused, Rule::LeftOut, Rule::Unreadable]);
    let left_out = match wrong {
        true => "they are told above; all else is in force",
        false => {
            "in this or an earlier one: the proxy's log names each, in lines with \"configuration\""
        }
    };
    let twice = match found(&[Rule::TwoPlugins]) {
        true => "see above",
        false => "two plugins of one proxy, or a filter and an access logger: one is enough",
    };
    let mut all = Vec::new();
    let rejected = snapshot.metric("opmeter_config_rejected_total");
    if rejected > 0 && !refused {
        let times = count(rejected);
        all.push(Diagnosis::note(
            format!("opmeter_config_rejected_total is {times}: `strict` refused a configuration before this one"),
            "",
        ));
    }
    for (name, meaning, remedy) in [
        (
            "opmeter_config_unreadable_total",
            "a configuration could not be read: the one before goes on, and without one nothing is counted",
            "a configuration is one JSON object; `opmeter render` writes it from YAML",
        ),
        ("opmeter_config_errors_total", "parts of configurations were left out", left_out),
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
        (
            "opmeter_duplicate_streams_total",
            "streams that met the module twice: the first in the chain counted their standard metrics",
            twice,
        ),
    ] {
        // Where nothing is wrong with what is in force, the problems are those of what was refused.
        if name == "opmeter_config_errors_total" && rejected > 0 && !wrong {
            continue;
        }
        let number = snapshot.metric(name);
        if number > 0 {
            let seen = format!("{name} is {}: {meaning}", count(number));
            all.push(Diagnosis::problem(seen, remedy));
        }
    }
    all
}
