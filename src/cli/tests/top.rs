//! `opmeter top` in a terminal, over the tens of thousands of series of a real Envoy.

mod command;

use command::sidecar::Sidecar;
use command::terminal::Terminal;
use std::fmt::Write;

/// Each has a counter and three histograms of twenty buckets: some 60 series.
const OPERATIONS: usize = 250;

fn project() -> String {
    let mut project = String::from(
        "module: {file: MODULE}\n\
         where: {side: inbound, selector: {app: ratings}, deployment: ratings-v1}\n\
         dimensions: {request_operation: op}\n\
         attributes:\n- output_attribute: op\n  operations:\n",
    );
    for i in 0..OPERATIONS {
        let line = format!("  - {{path: \"/resource-{i:03}/{{id}}\", value: op_{i:03}}}");
        writeln!(project, "{line}").expect("text");
    }
    project
}

/// First column of the rows of a screen.
fn operations(screen: &str) -> Vec<&str> {
    let rows = screen.lines().filter(|line| line.starts_with("op_"));
    rows.filter_map(|row| row.split_whitespace().next()).collect()
}

#[test]
fn a_person_finds_an_operation_among_ten_thousand_series() {
    let Some(sidecar) = Sidecar::of(&project(), |bootstrap| bootstrap) else { return };
    let call_all = || {
        for i in 0..OPERATIONS {
            sidecar.call(&format!("/resource-{i:03}/7"), 1);
        }
    };
    call_all();
    let mut terminal = Terminal::start(&["top", &sidecar.scrape, "--interval", "0.3"]);
    let screen = terminal.wait_for("first scrape", |text| text.contains("1 proxy "));
    assert!(terminal.is_full_screen());
    let series = screen.split("   ").find_map(|part| part.strip_suffix(" series")).expect("series");
    let series: usize =
        series.trim().replace([',', '\u{202f}', ' '], "").parse().expect("a number");
    assert!(series > 10_000, "{screen}");
    call_all();
    sidecar.call("/resource-123/7", 40);
    let fills = |text: &str| text.contains("250 operations") && operations(text).len() == 36;
    terminal.wait_for("as many operations as fit", fills);

    // Six columns to sort by, the name last.
    terminal.press("sssss");
    let first = |text: &str, two: [&str; 2]| operations(text).get(..2) == Some(&two[..]);
    let names = |text: &str| text.contains("by name") && first(text, ["op_000", "op_001"]);
    terminal.wait_for("names in order", names);
    terminal.press("r");
    let reversed = |text: &str| text.contains("ascending") && first(text, ["op_249", "op_248"]);
    terminal.wait_for("names turned round", reversed);
    terminal.press("\x1b[6~");
    terminal.wait_for("next page", |text| operations(text).first() == Some(&"op_229"));

    terminal.press("/_123\r");
    // Nothing answers behind it, so all are errors.
    terminal.wait_for("one row", |text| {
        let shown = ["filter: _123", "100.0 %"].iter().all(|part| text.contains(part));
        shown && operations(text) == ["op_123"]
    });
    terminal.press(" ");
    terminal.wait_for("pause", |text| text.contains("PAUSED"));

    terminal.press("q");
    let (status, mut terminal) = terminal.end();
    assert_eq!(status, 0);
    assert!(!terminal.is_full_screen(), "the terminal is as it was before");
}
