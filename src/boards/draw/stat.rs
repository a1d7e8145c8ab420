//! Big numbers.

use super::frame::Frame;
use super::svg::{Anchor, INK, SOFT, Style, Svg, fitting};
use super::{Asked, name};

const BIG: f64 = 26.0;
const SMALL: f64 = 11.0;

/// Draws a number for each series, side by side.
pub(super) fn numbers(svg: &mut Svg, asked: &Asked, frame: Frame) {
    let found: Vec<(String, f64)> = asked
        .answers
        .iter()
        .zip(&asked.panel.queries)
        .flat_map(|(series, query)| {
            series.iter().filter_map(|one| Some((name(one, query.legend), one.last()?)))
        })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "some numbers")]
    let room = frame.width / found.len().max(1) as f64;
    let mut x = frame.x;
    for (name, value) in &found {
        let middle = x + room / 2.0;
        let style = Style::new(BIG, INK).bold().at(Anchor::Middle);
        svg.text((middle, frame.y + 24.0), &asked.panel.unit.show(*value), style);
        if found.len() > 1 {
            let style = Style::new(SMALL, SOFT).at(Anchor::Middle);
            svg.text((middle, frame.y + 42.0), &fitting(name, SMALL, room), style);
        }
        x += room;
    }
}
