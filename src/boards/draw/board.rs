//! A whole dashboard, laid out as Grafana does.

use super::frame::Frame;
use super::svg::{GROUND, INK, SOFT, Style, Svg};
use super::{Asked, Span, draw};
use crate::dashboard::Kind;

const WIDTH: f64 = 1240.0;
const MARGIN: f64 = 16.0;
const GAP: f64 = 10.0;
const COLUMNS: f64 = 24.0;
const COLUMNS_OF_GRID: u8 = 24;
const TALL: f64 = 250.0;
const LOW: f64 = 96.0;
const HEAD: f64 = 64.0;
const TITLE: f64 = 34.0;

/// A picture of rows of panels under their titles.
pub fn board(title: &str, description: &str, rows: &[(String, Vec<Asked>)], span: Span) -> String {
    let placed = place(rows);
    let height = placed.last().map_or(HEAD, |(_, frame)| frame.bottom()) + MARGIN;
    let mut svg = Svg::new(WIDTH, height);
    svg.rect([0.0, 0.0, WIDTH, height], GROUND, 10.0);
    svg.text((MARGIN + 2.0, 32.0), title, Style::new(19.0, INK).bold());
    svg.text((MARGIN + 2.0, 52.0), description, Style::new(12.5, SOFT));
    for (item, frame) in placed {
        match item {
            Item::Title(text) => {
                svg.text((frame.x + 2.0, frame.y + 24.0), text, Style::new(13.0, SOFT).bold());
            }
            Item::Panel(asked) => draw(&mut svg, asked, span, frame),
        }
    }
    svg.finish()
}

enum Item<'a> {
    Title(&'a str),
    Panel(&'a Asked),
}

fn place(rows: &[(String, Vec<Asked>)]) -> Vec<(Item<'_>, Frame)> {
    let room = WIDTH - 2.0 * MARGIN;
    let mut placed = Vec::new();
    let mut y = HEAD;
    for (title, panels) in rows {
        let frame = Frame { x: MARGIN, y, width: room, height: TITLE };
        placed.push((Item::Title(title.as_str()), frame));
        y += TITLE - 4.0;
        for line in lines(panels) {
            let height = line.iter().map(height).fold(0.0, f64::max);
            let mut x = MARGIN;
            for asked in line {
                let width = f64::from(asked.panel.width) * (room + GAP) / COLUMNS;
                let frame = Frame { x, y, width: width - GAP, height };
                placed.push((Item::Panel(asked), frame));
                x += width;
            }
            y += height + GAP;
        }
    }
    placed
}

/// Panels that stand side by side.
fn lines(panels: &[Asked]) -> Vec<&[Asked]> {
    let mut lines = Vec::new();
    let (mut start, mut taken) = (0, 0);
    for (at, asked) in panels.iter().enumerate() {
        if taken + asked.panel.width > COLUMNS_OF_GRID {
            lines.push(&panels[start..at]);
            (start, taken) = (at, 0);
        }
        taken += asked.panel.width;
    }
    lines.push(&panels[start..]);
    lines
}

fn height(asked: &Asked) -> f64 {
    match asked.panel.kind {
        Kind::Stat => LOW,
        Kind::Table => super::table::height(asked).min(TALL),
        _ => TALL,
    }
}
