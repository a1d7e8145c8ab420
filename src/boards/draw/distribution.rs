//! How long requests took, operation by operation: one small histogram each, on the same bounds.

use super::frame::Frame;
use super::svg::{Anchor, FAINT, INK, SOFT, Style, Svg, colour, fitting};
use crate::answer::Series;
use crate::dashboard::Unit;
use std::collections::BTreeMap;

const WIDTH: f64 = 860.0;
const COLUMNS: usize = 2;
const HEIGHT: f64 = 170.0;
const GAP: f64 = 12.0;
const SMALL: f64 = 10.5;

/// One operation's buckets: upper bound, and how many requests lie in it.
type Buckets = Vec<(f64, f64)>;

/// A picture of cumulative buckets, and of quantiles by their names; both by the label `by`.
pub fn distributions(buckets: &[Series], quantiles: &[(&str, Vec<Series>)], by: &str) -> String {
    let operations = operations(buckets, by);
    let bounds = bounds(operations.values());
    let lines = operations.len().div_ceil(COLUMNS);
    #[expect(clippy::cast_precision_loss, reason = "some operations")]
    let (lines, columns) = (lines as f64, COLUMNS as f64);
    let mut svg = Svg::new(WIDTH, lines * (HEIGHT + GAP) - GAP);
    let width = (WIDTH + GAP) / columns - GAP;
    for (at, (operation, cells)) in operations.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "some operations")]
        let (row, column) = ((at / COLUMNS) as f64, (at % COLUMNS) as f64);
        let (x, y) = (column * (width + GAP), row * (HEIGHT + GAP));
        let frame = Frame { x, y, width, height: HEIGHT };
        let told: Vec<String> = quantiles
            .iter()
            .filter_map(|(name, series)| {
                let value = series.iter().find(|one| one.label(by) == operation)?.last()?;
                Some(format!("{name} {}", Unit::Milliseconds.show(value)))
            })
            .collect();
        let inner = frame.card(&mut svg, operation);
        let style = Style::new(SMALL + 0.5, SOFT).at(Anchor::End);
        svg.text((inner.right(), frame.y + 23.0), &told.join(" · "), style);
        bars(&mut svg, inner, cells, &bounds, colour(at, operation));
    }
    svg.finish()
}

fn bars(svg: &mut Svg, frame: Frame, cells: &Buckets, bounds: &[f64], hue: &str) {
    let plot = frame.without(0.0, 18.0);
    let all: f64 = cells.iter().map(|cell| cell.1).sum();
    let most = cells.iter().map(|cell| cell.1).fold(0.0, f64::max).max(1.0);
    #[expect(clippy::cast_precision_loss, reason = "some bounds")]
    let width = plot.width / bounds.len().max(1) as f64;
    svg.line([plot.x, plot.bottom(), plot.right(), plot.bottom()], FAINT, 1.0);
    let mut x = plot.x;
    for bound in bounds {
        let count = cells.iter().find(|cell| cell.0 == *bound).map_or(0.0, |cell| cell.1);
        let height = count / most * (plot.height - 16.0);
        let middle = x + width / 2.0;
        if count > 0.0 {
            svg.rect([x + 3.0, plot.bottom() - height, width - 6.0, height], hue, 2.0);
            let share = Unit::Share.show((count / all * 100.0).round() / 100.0);
            let style = Style::new(SMALL, INK).at(Anchor::Middle);
            svg.text((middle, plot.bottom() - height - 4.0), &share, style);
        }
        let label = if bound.is_finite() {
            format!("≤ {}", Unit::Number.show(*bound))
        } else {
            "more".to_owned()
        };
        let style = Style::new(SMALL, SOFT).at(Anchor::Middle);
        svg.text((middle, plot.bottom() + 14.0), &fitting(&label, SMALL, width + 6.0), style);
        x += width;
    }
}

fn operations(buckets: &[Series], by: &str) -> BTreeMap<String, Buckets> {
    let mut operations: BTreeMap<String, Buckets> = BTreeMap::new();
    for series in buckets {
        let bound = series.label("le").parse().ok();
        let Some((bound, count)) = bound.zip(series.last()) else { continue };
        operations.entry(series.label(by).to_owned()).or_default().push((bound, count));
    }
    for cells in operations.values_mut() {
        cells.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut below = 0.0;
        for cell in cells {
            let under = std::mem::replace(&mut below, cell.1);
            cell.1 -= under;
        }
    }
    operations
}

/// From the first bound that any operation uses to the last.
fn bounds<'a>(operations: impl Iterator<Item = &'a Buckets> + Clone) -> Vec<f64> {
    let mut all: Vec<f64> = operations.clone().flatten().map(|cell| cell.0).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let used =
        |bound: &f64| operations.clone().flatten().any(|cell| cell.0 == *bound && cell.1 > 0.0);
    let first = all.iter().position(used).unwrap_or(0);
    let last = all.iter().rposition(used).map_or(0, |at| at + 1);
    all.get(first..last).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::{bounds, operations};
    use crate::answer::Series;

    #[test]
    fn cumulative_buckets_become_counts_and_empty_ends_are_cut() {
        let series = |le: &str, value: f64| Series {
            labels: [("op", "a"), ("le", le)].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            points: vec![(0.0, value)],
        };
        let found = operations(
            &[series("+Inf", 7.0), series("10", 3.0), series("5", 0.0), series("50", 7.0)],
            "op",
        );
        assert_eq!(found["a"], [(5.0, 0.0), (10.0, 3.0), (50.0, 4.0), (f64::INFINITY, 0.0)]);
        assert_eq!(bounds(found.values()), [10.0, 50.0]);
    }
}
