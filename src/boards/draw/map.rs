//! Who calls whom: workloads as boxes, calls as arrows, and what is called inside the box that serves it.

use super::svg::{Anchor, BAD, CARD, FAINT, GOOD, GROUND, INK, SOFT, Style, Svg, colour, fitting};
use crate::answer::Series;
use crate::dashboard::Unit;
use std::collections::BTreeMap;

const WIDTH: f64 = 860.0;
const BOX: f64 = 286.0;
const HEAD: f64 = 54.0;
const LINE: f64 = 24.0;
const GAP: f64 = 26.0;
const MARGIN: f64 = 22.0;

/// A call between two workloads, or an operation of one.
#[derive(Clone, Debug, Default)]
struct Calls {
    rate: f64,
    errors: f64,
    p90: Option<f64>,
    tls: f64,
}

/// Puts a value where it belongs.
type Setter = fn(&mut Calls, f64);

/// A picture of edges: requests, errors, p90 and requests over mutual TLS by source and destination workload; and of the
/// operations of each destination, requests and errors.
pub fn map(edges: [&[Series]; 4], operations: [&[Series]; 2]) -> String {
    let calls = edge_calls(edges);
    let inner = operation_calls(operations);
    let mut sources: Vec<&str> = calls.keys().map(|(source, _)| source.as_str()).collect();
    sources.sort_unstable();
    sources.dedup();
    let mut destinations: Vec<&str> = calls.keys().map(|(_, to)| to.as_str()).collect();
    destinations.sort_unstable();
    destinations.dedup();
    let boxes = |names: &[&str], x: f64| {
        let mut y = MARGIN;
        let mut places = BTreeMap::new();
        for name in names {
            #[expect(clippy::cast_precision_loss, reason = "some operations")]
            let lines = inner.get(*name).map_or(0, BTreeMap::len) as f64;
            let height = HEAD + if x > MARGIN { lines * LINE + 8.0 } else { 0.0 };
            places.insert((*name).to_owned(), [x, y, BOX, height]);
            y += height + GAP;
        }
        (places, y - GAP + MARGIN)
    };
    let (mut left, left_height) = boxes(&sources, MARGIN);
    let (mut right, right_height) = boxes(&destinations, WIDTH - MARGIN - BOX);
    let height = left_height.max(right_height);
    // The shorter side stands in the middle of the longer one.
    for (side, own) in [(&mut left, left_height), (&mut right, right_height)] {
        side.values_mut().for_each(|place| place[1] += (height - own) / 2.0);
    }
    let mut svg = Svg::new(WIDTH, height);
    svg.rect([0.0, 0.0, WIDTH, height], GROUND, 10.0);
    let busiest = calls.values().map(|call| call.rate).fold(0.0, f64::max);
    for ((source, destination), call) in &calls {
        if let (Some(from), Some(to)) = (left.get(source), right.get(destination)) {
            arrow(&mut svg, *from, *to, call, busiest);
        }
    }
    for (name, place) in &left {
        workload(&mut svg, *place, name, "calls");
    }
    for (name, place) in &right {
        workload(&mut svg, *place, name, "serves");
        if let Some(operations) = inner.get(name) {
            rows(&mut svg, *place, operations);
        }
    }
    svg.finish()
}

fn workload(svg: &mut Svg, place: [f64; 4], name: &str, role: &str) {
    svg.outline(place, CARD, FAINT, 10.0);
    let [x, y, width, _] = place;
    svg.text(
        (x + 16.0, y + 24.0),
        &fitting(name, 15.0, width - 32.0),
        Style::new(15.0, INK).bold(),
    );
    svg.text((x + 16.0, y + 42.0), role, Style::new(11.5, SOFT));
}

fn rows(svg: &mut Svg, [x, y, width, _]: [f64; 4], operations: &BTreeMap<String, Calls>) {
    let busiest =
        operations.values().map(|calls| calls.rate).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let mut line = y + HEAD;
    for (at, (name, calls)) in operations.iter().enumerate() {
        let room = width - 32.0;
        let length = calls.rate / busiest * room;
        svg.rect([x + 16.0, line + 14.0, length, 4.0], colour(at, name), 2.0);
        let failed = calls.errors * room * calls.rate / busiest;
        svg.rect([x + 16.0 + length - failed, line + 14.0, failed, 4.0], BAD, 2.0);
        svg.text((x + 16.0, line + 9.0), &fitting(name, 11.5, room * 0.5), Style::new(11.5, INK));
        let told = format!("{}  {} failed", Unit::Rate.show(calls.rate), percent(calls.errors));
        svg.text((x + width - 16.0, line + 9.0), &told, Style::new(11.0, SOFT).at(Anchor::End));
        line += LINE;
    }
}

fn arrow(svg: &mut Svg, from: [f64; 4], to: [f64; 4], call: &Calls, busiest: f64) {
    let start = (from[0] + from[2], from[1] + from[3] / 2.0);
    let end = (to[0], to[1] + to[3] / 2.0);
    let width = 2.0 + 3.0 * (call.rate / busiest.max(f64::MIN_POSITIVE)).sqrt();
    let bend = (end.0 - start.0) / 2.0;
    svg.raw(&format!(
        "<path d=\"M{:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}\" fill=\"none\" stroke=\"#7a8699\" stroke-width=\"{width:.1}\"/>",
        start.0, start.1, start.0 + bend, start.1, end.0 - bend, end.1, end.0 - 9.0, end.1
    ));
    svg.raw(&format!(
        "<path d=\"M{:.1} {:.1}l-12 -6.5v13z\" fill=\"#7a8699\"/>",
        end.0 - 1.0,
        end.1
    ));
    let (x, y) = ((start.0 + end.0) / 2.0, (start.1 + end.1) / 2.0);
    svg.outline([x - 78.0, y - 62.0, 156.0, 50.0], CARD, FAINT, 8.0);
    let centre = Style::new(12.5, INK).bold().at(Anchor::Middle);
    svg.text((x, y - 45.0), &Unit::Rate.show(call.rate), centre);
    let p90 = call.p90.map_or("-".to_owned(), |value| Unit::Milliseconds.show(value));
    let told = format!("{} failed · p90 {p90}", percent(call.errors));
    svg.text((x, y - 31.0), &told, Style::new(10.5, SOFT).at(Anchor::Middle));
    let (text, hue) = match call.tls / call.rate.max(f64::MIN_POSITIVE) {
        share if share > 0.999 => ("mutual TLS".to_owned(), GOOD),
        share if share < 0.001 => ("plain text".to_owned(), SOFT),
        share => (format!("{} mutual TLS", percent(share)), SOFT),
    };
    svg.text((x, y - 18.0), &text, Style::new(10.5, hue).at(Anchor::Middle));
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

fn edge_calls([requests, errors, p90, tls]: [&[Series]; 4]) -> BTreeMap<(String, String), Calls> {
    let key = |series: &Series| {
        (
            series.label("source_workload").to_owned(),
            series.label("destination_workload").to_owned(),
        )
    };
    let mut calls: BTreeMap<(String, String), Calls> = BTreeMap::new();
    for series in requests {
        calls.entry(key(series)).or_default().rate = series.last().unwrap_or(0.0);
    }
    let parts: [(&[Series], Setter); 3] = [
        (errors, |call, value| call.errors = value),
        (p90, |call, value| call.p90 = Some(value)),
        (tls, |call, value| call.tls = value),
    ];
    for (answers, set) in parts {
        for series in answers {
            if let Some((call, value)) = calls.get_mut(&key(series)).zip(series.last()) {
                set(call, value);
            }
        }
    }
    calls
}

fn operation_calls(
    [requests, errors]: [&[Series]; 2],
) -> BTreeMap<String, BTreeMap<String, Calls>> {
    let mut workloads: BTreeMap<String, BTreeMap<String, Calls>> = BTreeMap::new();
    let name = |series: &Series| match series.label("request_operation") {
        "" => "(none)".to_owned(),
        name => name.to_owned(),
    };
    for series in requests {
        let workload =
            workloads.entry(series.label("destination_workload").to_owned()).or_default();
        workload.entry(name(series)).or_default().rate = series.last().unwrap_or(0.0);
    }
    for series in errors {
        let workload = workloads.get_mut(series.label("destination_workload"));
        if let Some(calls) = workload.and_then(|operations| operations.get_mut(&name(series))) {
            calls.errors = series.last().unwrap_or(0.0);
        }
    }
    workloads
}
