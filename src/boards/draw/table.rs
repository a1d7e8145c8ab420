//! Rows of labels and numbers.

use super::Asked;
use super::frame::Frame;
use super::svg::{Anchor, FAINT, INK, SOFT, Style, Svg, fitting};
use std::collections::BTreeMap;

const SIZE: f64 = 11.5;
const LINE: f64 = 21.0;
/// Width of a column of numbers.
const NUMBER: f64 = 84.0;

type Labels = BTreeMap<String, String>;

/// Height that all rows take.
pub(super) fn height(asked: &Asked) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some rows")]
    let rows = merge(asked).len() as f64;
    62.0 + rows * LINE
}

/// Draws as many rows as there is room for, the largest first, and tells how many are left out.
pub(super) fn rows(svg: &mut Svg, asked: &Asked, frame: Frame) {
    let rows = merge(asked);
    let mut names: Vec<&String> =
        rows.first().map(|row| row.0.keys().collect()).unwrap_or_default();
    let wanted = asked.panel.columns;
    names.sort_by_key(|name| wanted.iter().position(|column| column == name));
    let queries = &asked.panel.queries;
    #[expect(clippy::cast_precision_loss, reason = "some columns")]
    let (numbers, labels) = (queries.len() as f64 * NUMBER, names.len().max(1) as f64);
    let column = (frame.width - numbers) / labels;
    let mut y = frame.y + 10.0;
    let head = Style::new(SIZE, SOFT);
    let mut x = frame.x;
    for name in &names {
        let title = name.trim_start_matches("__").trim_end_matches("__").replace('_', " ");
        svg.text((x, y), &fitting(&title, SIZE, column - 8.0), head);
        x += column;
    }
    for query in queries {
        x += NUMBER;
        svg.text((x, y), query.legend, head.at(Anchor::End));
    }
    for (at, (labels, values)) in rows.iter().enumerate() {
        svg.line([frame.x, y + 6.5, frame.right(), y + 6.5], FAINT, 1.0);
        y += LINE;
        let left = rows.len() - at;
        if left > 1 && y + LINE > frame.bottom() {
            svg.text((frame.x, y), &format!("and {left} more"), head);
            break;
        }
        let style = Style::new(SIZE, INK);
        let mut x = frame.x;
        for name in &names {
            let text = labels.get(*name).map_or("", String::as_str);
            svg.text((x, y), &fitting(text, SIZE, column - 8.0), style);
            x += column;
        }
        x = frame.right() - numbers;
        for value in values {
            x += NUMBER;
            let text = value.map_or("-".to_owned(), |value| asked.panel.unit.show(value));
            svg.text((x, y), &text, style.at(Anchor::End));
        }
    }
}

/// One row for each label set, one number for each query.
fn merge(asked: &Asked) -> Vec<(Labels, Vec<Option<f64>>)> {
    let mut rows: BTreeMap<Labels, Vec<Option<f64>>> = BTreeMap::new();
    for (at, series) in asked.answers.iter().enumerate() {
        for one in series {
            let row = rows.entry(one.labels.clone()).or_default();
            row.resize(asked.answers.len(), None);
            if let Some(cell) = row.get_mut(at) {
                *cell = one.last();
            }
        }
    }
    // Every row has every label, so that columns are the same.
    let names: Vec<String> = rows.keys().flat_map(|labels| labels.keys().cloned()).collect();
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|(mut labels, values)| {
            for name in &names {
                labels.entry(name.clone()).or_default();
            }
            (labels, values)
        })
        .collect();
    let first = |row: &(Labels, Vec<Option<f64>>)| row.1.first().copied().flatten().unwrap_or(0.0);
    rows.sort_by(|a, b| first(b).total_cmp(&first(a)));
    rows
}
