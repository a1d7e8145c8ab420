//! Buckets over time, coloured by how many values fall in each.

use super::chart::time_axis;
use super::frame::Frame;
use super::svg::{Anchor, FAINT, SOFT, Style, Svg};
use super::{Asked, Span};
use std::collections::BTreeMap;

const SMALL: f64 = 11.0;
const AXIS: f64 = 20.0;
/// From few to many.
const COLOURS: [&str; 6] = ["#fde9cf", "#fbc98a", "#f5a04c", "#e0742a", "#b84e14", "#7f300a"];

/// A bucket: its bound, and how many values fall in it by time.
struct Row {
    bound: f64,
    cells: Vec<(f64, f64)>,
}

/// Draws the panel's buckets.
pub(super) fn map(svg: &mut Svg, asked: &Asked, span: Span, frame: Frame) {
    let rows = rows(asked);
    let plot = frame.without(58.0, AXIS);
    #[expect(clippy::cast_precision_loss, reason = "some buckets")]
    let height = plot.height / rows.len().max(1) as f64;
    let most = rows.iter().flat_map(|row| &row.cells).map(|cell| cell.1).fold(0.0, f64::max);
    let mut y = plot.bottom();
    for row in &rows {
        svg.line([plot.x, y, plot.right(), y], FAINT, 1.0);
        let label = if row.bound.is_finite() {
            asked.panel.unit.show(row.bound)
        } else {
            "more".to_owned()
        };
        y -= height;
        let style = Style::new(SMALL, SOFT).at(Anchor::End);
        svg.text((plot.x - 8.0, y + height / 2.0 + 4.0), &label, style);
        let step = step(&row.cells);
        for (time, count) in row.cells.iter().filter(|cell| cell.1 > most * 0.002) {
            let width = step / (span.end - span.start) * plot.width;
            let x = plot.x + (time - span.start) / (span.end - span.start) * plot.width - width;
            let left = x.max(plot.x);
            let right = (x + width).min(plot.right());
            svg.rect([left, y + 0.5, right - left - 0.6, height - 1.0], shade(count / most), 1.0);
        }
    }
    time_axis(svg, span, plot);
}

/// The square root sets few apart from none.
fn shade(share: f64) -> &'static str {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 to 6"
    )]
    let at = (share.sqrt() * COLOURS.len() as f64) as usize;
    COLOURS[at.min(COLOURS.len() - 1)]
}

fn step(cells: &[(f64, f64)]) -> f64 {
    match cells {
        [first, second, ..] => second.0 - first.0,
        _ => 1.0,
    }
}

/// Differences of cumulative buckets, from the first to the last that holds anything.
fn rows(asked: &Asked) -> Vec<Row> {
    let mut cumulative: Vec<(f64, &[(f64, f64)])> = asked
        .answers
        .iter()
        .flatten()
        .filter_map(|series| Some((series.label("le").parse().ok()?, series.points.as_slice())))
        .collect();
    cumulative.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below: BTreeMap<u64, f64> = BTreeMap::new();
    let mut rows = Vec::new();
    for (bound, points) in cumulative {
        let cells = points
            .iter()
            .map(|(time, value)| {
                let under = below.insert(time.to_bits(), *value).unwrap_or(0.0);
                (*time, (value - under).max(0.0))
            })
            .collect();
        rows.push(Row { bound, cells });
    }
    let used = |row: &Row| row.cells.iter().any(|cell| cell.1 > 0.001);
    let first = rows.iter().position(used).unwrap_or(0);
    let last = rows.iter().rposition(used).map_or(0, |at| at + 1);
    rows.truncate(last);
    rows.drain(..first.min(rows.len()));
    rows
}
