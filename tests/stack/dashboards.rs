//! Every expression of every dashboard returns data, as Grafana would send it.

use crate::Shared;
use crate::mesh::Stack;
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use opmeter_boards::dashboard::{self, Values};
use opmeter_boards::query::Fill;
use std::sync::Arc;

/// Everything is picked.
const ALL: Fill<'_> = Fill { rate_interval: "7s", values: &[("reporter", "destination")] };
/// One value is picked in each drop-down.
const ONE: Fill<'_> = Fill {
    rate_interval: "7s",
    values: &[
        ("reporter", "destination"),
        ("service", "ratings"),
        ("operation", "get_items"),
        ("namespace", "shop"),
        ("workload", "ratings-v1"),
    ],
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    let mut trials = Vec::new();
    for board in dashboard::all() {
        let uid = board.uid;
        for (row, panel) in board.panels() {
            for query in &panel.queries {
                let name = format!("dashboards::{uid}::{}::{}", panel.title, query.legend);
                let expr = query.expr.clone();
                let calls_on = uid == "opmeter-operations" || row.starts_with("Calls to");
                trials.push(shared.trial(name, move |stack| async move {
                    has_data(&stack, &ALL.expr(&expr)).await?;
                    if calls_on { has_data(&stack, &ONE.expr(&expr)).await } else { Ok(()) }
                }));
            }
        }
        for variable in board.variables {
            let name = format!("dashboards::{uid}::variable::{}", variable.name);
            let values = variable.values;
            trials.push(shared.trial(name, move |stack| has_values(stack, values)));
        }
    }
    trials
}

/// Some series has a number that is one.
async fn has_data(stack: &Stack, expr: &str) -> Result<()> {
    let series = stack.prometheus.at(expr, stack.end).await?;
    let numbers = series.iter().filter(|series| series.last().is_some_and(f64::is_finite));
    ensure!(numbers.count() > 0, "no data for {expr}: {series:?}");
    Ok(())
}

async fn has_values(stack: Arc<Stack>, values: Values) -> Result<()> {
    let Some((series, label)) = values.series() else { return Ok(()) };
    let expr = ALL.expr(&series);
    let found = stack.prometheus.at(&expr, stack.end).await?;
    ensure!(found.iter().any(|series| !series.label(label).is_empty()), "no {label} in {expr}");
    Ok(())
}
