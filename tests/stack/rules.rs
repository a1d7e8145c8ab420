//! Recording rules give series on a real mesh; rules and alerts do what they say on series made for them.

use crate::Shared;
use crate::mesh::{Stack, file};
use anyhow::{Result, ensure};
use libtest_mimic::{Failed, Trial};
use opmeter_boards::rules::{Rule, groups};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::prometheus::{binary, promtool};

/// promtool's tests, one alert and more in each.
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stack/rules.yaml");

pub fn trials(shared: &Shared) -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("rules::promtool_reads_the_rules", || {
            with_promtool(|tool| {
                promtool(tool, &["check", "rules", &file("rules/opmeter.yaml").to_string_lossy()])
            })
        }),
        Trial::test("rules::promtool_tests_every_alert", || {
            with_promtool(|tool| promtool(tool, &["test", "rules", TESTS]))
        }),
        Trial::test("rules::no_alert_is_without_a_test", every_alert_is_tested),
        Trial::test("rules::promtool_evaluates_the_groups_in_order", groups_are_in_order),
    ];
    for group in groups() {
        for rule in group.rules() {
            let Rule::Record { record, .. } = rule else { continue };
            let record = record.clone();
            trials.push(shared.trial(format!("rules::{record}"), |stack| recorded(stack, record)));
        }
    }
    trials
}

async fn recorded(stack: Arc<Stack>, record: String) -> Result<()> {
    let series = stack.prometheus.when(&record).await?;
    let finite = series.iter().filter(|series| series.last().is_some_and(f64::is_finite));
    ensure!(finite.count() > 0, "{series:?}");
    Ok(())
}

fn with_promtool(run: impl FnOnce(&Path) -> Result<String>) -> Result<(), Failed> {
    let Some(prometheus) = binary()? else { return Ok(()) };
    let prometheus: PathBuf = prometheus;
    run(&prometheus).map(|_| ()).map_err(|error| format!("{error:#}").into())
}

fn every_alert_is_tested() -> Result<(), Failed> {
    let text = std::fs::read_to_string(TESTS)?;
    let alerts: BTreeSet<String> = groups()
        .iter()
        .flat_map(|group| group.rules().to_vec())
        .filter(|rule| matches!(rule, Rule::Alert(_)))
        .map(|rule| rule.name().to_owned())
        .collect();
    let missing: Vec<_> =
        alerts.iter().filter(|name| !text.contains(&format!("alertname: {name}\n"))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("no test of {missing:?}").into()) }
}

/// promtool evaluates a group that `group_eval_order` does not name at a time of its own.
fn groups_are_in_order() -> Result<(), Failed> {
    #[derive(serde::Deserialize)]
    struct Tests {
        group_eval_order: Vec<String>,
    }
    let tests: Tests = serde_yaml_ng::from_str(&std::fs::read_to_string(TESTS)?)?;
    let groups: Vec<_> = groups().iter().map(|group| group.name().to_owned()).collect();
    if tests.group_eval_order == groups {
        return Ok(());
    }
    Err(format!("{:?}, but the groups are {groups:?}", tests.group_eval_order).into())
}
